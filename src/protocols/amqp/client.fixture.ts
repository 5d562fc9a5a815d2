/**
 * An AMQP client for this room's tests, over a connection in memory. It uses the room's codec,
 * whose own tests compare it with bytes; what it adds is a place to look at every frame the server
 * sends.
 */
import assert from 'node:assert/strict';
import type { Instance } from '#contract';
import { connectMemory, type MemoryClient } from '../../../test/contract/memory-connection.ts';
import { EMPTY_TABLE, flagEntry, type Table } from './field-table.ts';
import { FRAME, FrameReader } from './frame-reader.ts';
import { type Fields, type MethodName, readMethod, readMethodId, writeMethod } from './methods.ts';
import { PROTOCOL_HEADER } from './negotiation.ts';
import { Output } from './output.ts';
import { type Properties, parseProperties, propertyBytes } from './properties.ts';
import { WireReader } from './wire-reader.ts';

/** The fields that tests look at; which of them are there depends on the method. */
interface SeenFields
  extends Pick<Fields<'connection.start'>, 'serverProperties' | 'mechanisms'>,
    Fields<'connection.tune'>,
    Fields<'channel.close'>,
    Fields<'queue.declare-ok'>,
    Fields<'basic.deliver'>,
    Fields<'basic.nack'> {}

export interface Seen {
  readonly channel: number;
  readonly name: MethodName | 'heartbeat';
  readonly fields: SeenFields;
  readonly properties: Properties;
  readonly body: Buffer;
}

export interface ClientOptions {
  readonly user?: string;
  readonly password?: string;
  readonly frameMax?: number;
  readonly heartbeat?: number;
  readonly vhost?: string;
  readonly capabilities?: readonly string[];
  readonly loopback?: boolean;
}

const CAPABILITIES = [
  'publisher_confirms',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'authentication_failure_close',
];

export class TestClient {
  readonly wire: MemoryClient;
  readonly frameMax: number;
  readonly seen: Seen[] = [];
  #waiting: (() => void)[] = [];
  #content: { -readonly [K in keyof Seen]: Seen[K] } | null = null;
  #missing = 0;

  constructor(server: Instance, options: ClientOptions = {}) {
    this.frameMax = options.frameMax ?? 131_072;
    this.wire = connectMemory(server, { peer: { loopback: options.loopback ?? true } });
    const reader = new FrameReader(1 << 24, (type, channel, buffer, at, end) =>
      this.#frame(type, channel, buffer, at, end),
    );
    this.wire.onData = (chunk) => reader.push(chunk);
    this.wire.closed.then(() => this.#wakeAll());
  }

  static async open(server: Instance, options: ClientOptions = {}): Promise<TestClient> {
    const client = new TestClient(server, options);
    await client.login(options);
    await client.call(1, 'channel.open', { outOfBand: '' }, 'channel.open-ok');
    return client;
  }

  async login(options: ClientOptions = {}): Promise<void> {
    const { user = 'guest', password = 'guest' } = options;
    this.wire.send(PROTOCOL_HEADER);
    await this.next('connection.start');
    const capabilities: Table = (options.capabilities ?? CAPABILITIES).map((name) =>
      flagEntry(name, true),
    );
    this.send(0, 'connection.start-ok', {
      clientProperties: [{ name: 'capabilities', type: 'F', value: capabilities }],
      mechanism: 'PLAIN',
      response: Buffer.from(`\0${user}\0${password}`),
      locale: 'en_US',
    });
    const { fields } = await this.next('connection.tune');
    this.send(0, 'connection.tune-ok', {
      channelMax: fields.channelMax,
      frameMax: this.frameMax,
      heartbeat: options.heartbeat ?? 0,
    });
    const virtualHost = options.vhost ?? '/';
    this.send(0, 'connection.open', { virtualHost, capabilities: '', insist: false });
    await this.next('connection.open-ok');
  }

  send<Name extends MethodName>(channel: number, name: Name, fields: Fields<Name>): void {
    this.#write((output) => writeMethod(output, channel, name, fields));
  }

  /** Sends a method and waits for its answer on the same channel. */
  call<Name extends MethodName>(
    channel: number,
    name: Name,
    fields: Fields<Name>,
    answer: MethodName,
  ): Promise<Seen> {
    this.send(channel, name, fields);
    return this.next(answer, channel);
  }

  publish(
    exchange: string,
    routingKey: string,
    body: Buffer | string = '',
    properties: Properties = {},
    { mandatory = false, immediate = false, channel = 1 } = {},
  ): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.#write((output) => {
      const fields = { ticket: 0, exchange, routingKey, mandatory, immediate };
      writeMethod(output, channel, 'basic.publish', fields);
      output.beginFrame(FRAME.header, channel);
      output.short(60);
      output.short(0);
      output.longlong(bytes.length);
      output.bytes(propertyBytes(properties));
      output.endFrame();
      const part = this.frameMax - 8;
      for (let from = 0; from < bytes.length; from += part) {
        output.frame(FRAME.body, channel, bytes, from, Math.min(bytes.length, from + part));
      }
    });
  }

  async declare(queue: string, more: Partial<Fields<'queue.declare'>> = {}): Promise<Seen> {
    return this.call(1, 'queue.declare', declareFields(queue, more), 'queue.declare-ok');
  }

  async declareExchange(
    exchange: string,
    type: string,
    more: Partial<Fields<'exchange.declare'>> = {},
  ): Promise<Seen> {
    const fields = exchangeFields(exchange, type, more);
    return this.call(1, 'exchange.declare', fields, 'exchange.declare-ok');
  }

  async bind(queue: string, exchange: string, key: string, table: Table = EMPTY_TABLE) {
    const names = { ticket: 0, queue, exchange, routingKey: key };
    const fields = { ...names, noWait: false, arguments: table };
    return this.call(1, 'queue.bind', fields, 'queue.bind-ok');
  }

  async consume(queue: string, more: Partial<Fields<'basic.consume'>> = {}, channel = 1) {
    const fields = consumeFields(queue, more);
    return this.call(channel, 'basic.consume', fields, 'basic.consume-ok');
  }

  async get(queue: string, noAck = true): Promise<Seen> {
    this.send(1, 'basic.get', { ticket: 0, queue, noAck });
    return this.#until((seen) => seen.name === 'basic.get-ok' || seen.name === 'basic.get-empty');
  }

  /** The next message with that name, in order of arrival per name. */
  next(name: MethodName | 'heartbeat', channel?: number): Promise<Seen> {
    return this.#until(
      (seen) => seen.name === name && (channel === undefined || seen.channel === channel),
      name,
    );
  }

  async #until(fits: (seen: Seen) => boolean, what = 'an answer'): Promise<Seen> {
    for (;;) {
      const index = this.seen.findIndex(fits);
      if (index >= 0) return this.seen.splice(index, 1)[0]!;
      const closed = this.seen.find(({ name }) => name.endsWith('.close'));
      assert.ok(closed === undefined, `closed instead of ${what}: ${closed?.fields.replyText}`);
      assert.ok(!this.wire.isClosed, `the socket closed while ${what} was awaited`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #write(write: (output: Output) => void): void {
    const output = new Output((chunk) => this.wire.send(chunk));
    write(output);
    output.flush();
  }

  #frame(type: number, channel: number, buffer: Buffer, at: number, end: number): void {
    if (type === FRAME.heartbeat) this.#see(channel, 'heartbeat', {});
    else if (type === FRAME.method) {
      const reader = new WireReader().over(buffer, at, end);
      const { name, fields } = readMethod(reader, readMethodId(reader));
      if (CONTENT_METHODS.has(name)) {
        const own = fields as unknown as SeenFields;
        this.#content = { channel, name, fields: own, properties: {}, body: Buffer.alloc(0) };
      } else this.#see(channel, name, fields);
    } else if (type === FRAME.header) {
      this.#missing = buffer.readUInt32BE(at + 8);
      this.#content!.properties = parseProperties(Buffer.from(buffer.subarray(at + 12, end)));
      this.#contentDone();
    } else {
      this.#missing -= end - at;
      this.#content!.body = Buffer.concat([this.#content!.body, buffer.subarray(at, end)]);
      this.#contentDone();
    }
  }

  #contentDone(): void {
    if (this.#missing > 0) return;
    this.seen.push(this.#content!);
    this.#content = null;
    this.#wakeAll();
  }

  #see(channel: number, name: Seen['name'], fields: object): void {
    const seen = fields as SeenFields;
    this.seen.push({ channel, name, fields: seen, properties: {}, body: Buffer.alloc(0) });
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const CONTENT_METHODS: ReadonlySet<string> = new Set([
  'basic.deliver',
  'basic.get-ok',
  'basic.return',
]);

export function declareFields(
  queue: string,
  more: Partial<Fields<'queue.declare'>> = {},
): Fields<'queue.declare'> {
  return {
    ticket: 0,
    queue,
    passive: false,
    durable: false,
    exclusive: false,
    autoDelete: false,
    noWait: false,
    arguments: EMPTY_TABLE,
    ...more,
  };
}

export function exchangeFields(
  exchange: string,
  type: string,
  more: Partial<Fields<'exchange.declare'>> = {},
): Fields<'exchange.declare'> {
  return {
    ticket: 0,
    exchange,
    type,
    passive: false,
    durable: false,
    autoDelete: false,
    internal: false,
    noWait: false,
    arguments: EMPTY_TABLE,
    ...more,
  };
}

export function consumeFields(
  queue: string,
  more: Partial<Fields<'basic.consume'>> = {},
): Fields<'basic.consume'> {
  return {
    ticket: 0,
    queue,
    consumerTag: '',
    noLocal: false,
    noAck: false,
    exclusive: false,
    noWait: false,
    arguments: EMPTY_TABLE,
    ...more,
  };
}
