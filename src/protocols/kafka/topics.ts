/**
 * Kafka's view of the streams: names, ids, rights, and the making of topics. A topic is a stream
 * under its safe spelling; its leader is always this server, in epoch 0.
 */
import {
  type Action,
  type Address,
  type Broker,
  flatAddress,
  LAST_VALUES,
  type Principal,
  type Stream,
  type StreamPlace,
  type StreamSettings,
  wholeOf,
} from '#broker';
import { BrokerError } from '#kit';
import { isInternalName } from './internal-topics.ts';

const TOUCHING: readonly Action[] = ['publish', 'subscribe', 'remove', 'alter', 'alter-settings'];
export const NODE_ID = 0;
export const LEADER_EPOCH = 0;
/** All logs share the same files, so there is one directory. */
export const LOG_DIR = '/data';

const LEGAL_NAME = /^[a-zA-Z0-9._-]{1,249}$/;
/** Names whose owners are parts of the server (`docs/mapping.md`). */
const RESERVED_NAME = /^(__|amq\.|mq9\.)/;

export class Topics {
  readonly #broker: Broker;
  readonly #addresses = new WeakMap<Stream, Address>();
  /** With the routes of this version. */
  #wholes = new WeakMap<Stream, StreamPlace>();
  #routesVersion = -1;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  byName(name: string): Stream | undefined {
    return shown(this.#broker.streams.bySpelling(name));
  }

  byId(id: string): Stream | undefined {
    return shown(this.#broker.streams.byId(id));
  }

  may(principal: Principal, action: Action, stream: Stream): boolean {
    // Who reads a topic gets everything that lies in it, whichever way it came in. Who writes last
    // values sets those of all addresses.
    const whole = action === 'subscribe' || (action === 'publish' && stream.name === LAST_VALUES);
    const place = whole ? this.#wholeOf(stream) : this.#addressOf(stream);
    return this.#broker.authorize(principal, action, place);
  }

  /** The same for a topic that may not exist. */
  mayByName(principal: Principal, action: Action, name: string): boolean {
    // State of the server that only looks like a topic: nobody reads or changes it as one.
    if (TOUCHING.includes(action) && isInternalName(name)) return false;
    return this.#broker.authorize(principal, action, flatAddress(name));
  }

  /** What is listed without being asked for by name. */
  *visible(principal: Principal): Iterable<Stream> {
    for (const stream of this.#broker.streams.list()) {
      if (!stream.hidden && this.may(principal, 'describe', stream)) yield stream;
    }
  }

  /**
   * Makes a topic; durable when `streams.durable()` resolves.
   * @throws BrokerError `invalid-name`, `stream-exists`, `invalid-argument`
   */
  create(name: string, settings: Partial<StreamSettings> & { partitions?: number }): Stream {
    const reason = nameFault(name);
    if (reason !== null) throw new BrokerError('invalid-name', reason);
    if (this.byName(name) !== undefined) throw new BrokerError('stream-exists', `'${name}'`);
    return this.#broker.streams.create(name, settings);
  }

  #wholeOf(stream: Stream): StreamPlace {
    const { routes } = this.#broker;
    if (this.#routesVersion !== routes.version) {
      this.#routesVersion = routes.version;
      this.#wholes = new WeakMap();
    }
    let whole = this.#wholes.get(stream);
    if (whole === undefined) {
      whole = wholeOf(routes, stream.name);
      this.#wholes.set(stream, whole);
    }
    return whole;
  }

  #addressOf(stream: Stream): Address {
    let address = this.#addresses.get(stream);
    if (address === undefined) {
      address = flatAddress(stream.name);
      this.#addresses.set(stream, address);
    }
    return address;
  }
}

/** The server's own streams are not there for clients, whatever they know of their names. */
function shown(stream: Stream | undefined): Stream | undefined {
  return stream?.name.startsWith('__') ? undefined : stream;
}

export function isLegalName(name: string): boolean {
  return LEGAL_NAME.test(name) && name !== '.' && name !== '..';
}

/** Why no topic of this name can be made, or null. */
export function nameFault(name: string): string | null {
  if (!isLegalName(name)) return 'a topic name has 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-".';
  return RESERVED_NAME.test(name) ? `'${name}' is reserved for the server.` : null;
}
