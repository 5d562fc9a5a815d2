/** exchange.declare, delete, bind, unbind. */
import type { Channel } from '../channel.ts';
import { AmqpError, named, refusal } from '../errors.ts';
import { DELAYED_TYPE_ARGUMENT, routingTypeOf } from '../exchange.ts';
import { findEntry, type Table } from '../field-table.ts';
import { type ExchangeType, HEADER_MATCHES, isExchangeType } from '../matchers.ts';
import type { Fields } from '../methods.ts';
import { checkSameArguments } from '../queue-arguments.ts';
import type { AmqpExchange } from '../virtual-host.ts';
import {
  authorize,
  authorizeBinding,
  findExchange,
  type Handlers,
  RESERVED_PREFIX,
  refuseDefaultExchange,
} from './handler.ts';

export const exchangeMethods: Handlers = {
  'exchange.declare': (channel, fields) => {
    const { exchange: name, noWait } = fields;
    if (fields.passive) {
      findExchange(channel, name);
      if (!noWait) channel.send('exchange.declare-ok', {});
      return;
    }
    refuseDefaultExchange(name);
    const type = exchangeType(fields.type, fields.arguments);
    authorize(channel, 'create', 'exchange', name);
    const known = channel.host.exchanges.get(name);
    if (known === undefined) declare(channel, fields, type);
    else checkSame(known, fields, type);
    const answer = (): void => {
      if (!noWait) channel.send('exchange.declare-ok', {});
    };
    if (known !== undefined || !fields.durable) return answer();
    return channel.host.durable().then(answer);
  },

  'exchange.delete': (channel, { exchange: name, ifUnused, noWait }) => {
    refuseDefaultExchange(name);
    if (name.startsWith(RESERVED_PREFIX)) {
      throw new AmqpError(403, `deletion of system ${named.exchange(name)} not allowed`);
    }
    authorize(channel, 'remove', 'exchange', name);
    const answer = (): void => {
      if (!noWait) channel.send('exchange.delete-ok', {});
    };
    const exchange = channel.host.exchanges.get(name);
    // [A22] What is not there is deleted already.
    if (exchange === undefined) return answer();
    if (ifUnused && exchange.bindings.size > 0) throw refusal.inUse(named.exchange(name));
    channel.host.removeExchange(exchange);
    if (!exchange.facts.durable) return answer();
    return channel.host.durable().then(answer);
  },

  'exchange.bind': (channel, fields) => {
    const { source, destination } = ends(channel, fields);
    checkBindingArguments(source, fields.arguments);
    channel.host.bind(source, destination, fields.routingKey, fields.arguments);
    return channel.host.durable().then(() => {
      if (!fields.noWait) channel.send('exchange.bind-ok', {});
    });
  },

  'exchange.unbind': (channel, fields) => {
    const { source, destination } = ends(channel, fields);
    const { host } = channel;
    const binding = host.findBinding(source, destination, fields.routingKey, fields.arguments);
    if (binding !== undefined) host.unbind(binding);
    return host.durable().then(() => {
      if (!fields.noWait) channel.send('exchange.unbind-ok', {});
    });
  },
};

function exchangeType(text: string, table: Table): ExchangeType {
  if (!isExchangeType(text)) throw new AmqpError(406, `unknown exchange type '${text}'`);
  if (routingTypeOf(text, table) !== null) return text;
  throw new AmqpError(
    406,
    `Invalid argument, '${DELAYED_TYPE_ARGUMENT}' must be an existing exchange type`,
  );
}

function declare(channel: Channel, fields: Fields<'exchange.declare'>, type: ExchangeType): void {
  const { exchange: name, durable, autoDelete, internal } = fields;
  if (name.startsWith(RESERVED_PREFIX)) throw refusal.reserved('exchange', name);
  const alternate = findEntry(fields.arguments, 'alternate-exchange');
  if (alternate !== undefined && alternate.type !== 'S') {
    throw refusal.invalidArgument(named.exchange(name), 'alternate-exchange', 'not a text');
  }
  if (alternate !== undefined) authorize(channel, 'publish', 'exchange', String(alternate.value));
  channel.host.addExchange({
    name,
    type,
    durable,
    autoDelete,
    internal,
    arguments: fields.arguments,
    alternate: alternate === undefined ? '' : String(alternate.value),
  });
}

/** [A22] A second declare must say the same. */
function checkSame(
  known: AmqpExchange,
  fields: Fields<'exchange.declare'>,
  type: ExchangeType,
): void {
  const what = named.exchange(known.name);
  const { facts } = known;
  const pairs = [
    ['type', type, facts.type],
    ['durable', fields.durable, facts.durable],
    ['auto_delete', fields.autoDelete, facts.autoDelete],
    ['internal', fields.internal, facts.internal],
  ] as const;
  for (const [field, received, current] of pairs) {
    if (received !== current) {
      throw refusal.inequivalent(what, field, `'${received}'`, `'${current}'`);
    }
  }
  checkSameArguments(what, fields.arguments, facts.arguments);
}

function ends(
  channel: Channel,
  fields: { source: string; destination: string; routingKey: string },
) {
  refuseDefaultExchange(fields.source);
  refuseDefaultExchange(fields.destination);
  authorize(channel, 'publish', 'exchange', fields.destination);
  const source = findExchange(channel, fields.source);
  authorizeBinding(channel, source, fields.routingKey);
  return { source, destination: findExchange(channel, fields.destination) };
}

/** Bindings of a headers exchange say how their headers join. */
export function checkBindingArguments(source: AmqpExchange, table: Table): void {
  if (source.routing !== 'headers') return;
  const join = findEntry(table, 'x-match');
  if (join === undefined) return;
  const how = join.type === 'S' ? String(join.value) : '';
  if ((HEADER_MATCHES as readonly string[]).includes(how)) return;
  throw new AmqpError(
    406,
    `Invalid x-match field value '${how}'; expected all, any, all-with-x, or any-with-x`,
  );
}
