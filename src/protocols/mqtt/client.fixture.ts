/**
 * A client for this room's tests: over a memory connection, with this room's own codec. It sends
 * any bytes and shows each packet that comes; it does nothing by itself, not even acknowledge.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, defaults } from '#kit';
import {
  connectMemory,
  type MemoryClient,
  type MemoryOptions,
} from '../../../test/contract/memory-connection.ts';
import {
  ManualTimers,
  openTestHost,
  type TestHost,
  type TestHostOptions,
} from '../../../test/contract/test-host.ts';
import {
  AUTH,
  CONNACK,
  type ConnackPacket,
  type ConnectPacket,
  DISCONNECT,
  decodeAck,
  decodeAuth,
  decodeCodes,
  decodeConnack,
  decodeDisconnect,
  decodePublish,
  encodeAck,
  encodeConnect,
  encodePublishFilled,
  encodeSubscribe,
  encodeUnsubscribe,
  type FilterRequest,
  Framer,
  fillProperties,
  NO_PROPERTIES,
  PacketReader,
  type Properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  PublishPacket,
  packetName,
  propertyScratch,
  SUBACK,
  UNSUBACK,
  type Version,
} from './codec/index.ts';
import { type MqttOptions, OPTIONS } from './options.ts';
import { Room } from './room.ts';

export interface Shown {
  readonly type: string;
  readonly packetId?: number;
  readonly reason?: number;
  readonly properties?: Properties;
  readonly codes?: readonly number[];
  readonly sessionPresent?: boolean;
  readonly topic?: string;
  readonly payload?: string;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
}

export interface Message {
  readonly topic: string;
  readonly payload?: string | Buffer;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
  readonly properties?: Properties;
}

/** How long a test waits for a packet that does not come. */
const PATIENCE_MS = 5000;

/** Write-ahead files of the virtual disk that take no time to make. */
const SMALL = { walFileBytes: 1 << 20, entryBytesMax: 1 << 19, entryBytesSoft: 1 << 18 };

/** A room on a real broker, with timers and a clock that the test moves. */
export class Bench {
  readonly host: TestHost;
  readonly timers: ManualTimers;
  readonly options: MqttOptions;
  room: Room;
  readonly #byListener: ReadonlyMap<string, MqttOptions>;
  #nowMs: { value: number };

  private constructor(
    host: TestHost,
    timers: ManualTimers,
    options: MqttOptions,
    nowMs: { value: number },
    byListener: ReadonlyMap<string, MqttOptions>,
  ) {
    this.host = host;
    this.#byListener = byListener;
    this.timers = timers;
    this.options = options;
    this.#nowMs = nowMs;
    this.room = new Room(host, options, byListener);
  }

  static async open(
    options: Partial<MqttOptions> = {},
    host: Partial<TestHostOptions> = {},
    listeners: Readonly<Record<string, Partial<MqttOptions>>> = {},
  ): Promise<Bench> {
    const timers = new ManualTimers();
    const nowMs = { value: 1_800_000_000_000 };
    const clock: Clock = {
      nowMs: () => nowMs.value,
      nowNs: () => BigInt(nowMs.value) * 1_000_000n,
      monotonicMs: () => nowMs.value,
    };
    const opened = await openTestHost({
      ...{ timers, clock, limits: SMALL, ...host },
      // What waits in the broker for its time follows the test's clock.
      brokerTimers: timers,
    });
    // Days pass in some tests, and what is told every ten seconds is not what they are about.
    const own = { ...defaults(OPTIONS), sysInterval: 0, ...options };
    const byListener = Object.entries(listeners).map(([name, values]) => {
      return [name, { ...own, ...values }] as const;
    });
    return new Bench(opened, timers, own, nowMs, new Map(byListener));
  }

  /** Lets time pass on the clock and for the timers, by second. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      const step = Math.min(left, 1000);
      this.#nowMs.value += step;
      this.timers.pass(step);
    }
  }

  client(options: MemoryOptions = {}): TestClient {
    return new TestClient(connectMemory(this.room, options));
  }

  /** A connected client. */
  async connect(
    clientId: string,
    packet: Partial<ConnectPacket> = {},
    options: MemoryOptions = {},
  ): Promise<TestClient> {
    const client = this.client(options);
    client.connect(clientId, packet);
    const connack = await client.expect('CONNACK');
    if (connack.reason !== 0) throw new Error(`refused with ${connack.reason}`);
    return client;
  }

  /** As after a crash: a new room on what the broker has; the old one is told nothing. */
  restart(): void {
    this.room.sessions.close();
    this.room = new Room(this.host, this.options, this.#byListener);
  }

  async close(): Promise<void> {
    await this.room.close();
    await this.host.close();
  }
}

export class TestClient {
  readonly wire: MemoryClient;
  version: Version = 5;
  readonly #framer = new Framer();
  readonly #reader = new PacketReader();
  readonly #packets: Shown[] = [];
  #arrived: () => void = () => {};

  constructor(wire: MemoryClient) {
    this.wire = wire;
    wire.onData = (chunk) => this.#receive(chunk);
  }

  connect(clientId: string, packet: Partial<ConnectPacket> = {}): void {
    this.version = packet.version ?? 5;
    this.send(
      encodeConnect({
        version: 5,
        bridge: false,
        clean: true,
        keepAliveSec: 0,
        clientId,
        properties: NO_PROPERTIES,
        will: null,
        user: null,
        password: null,
        ...packet,
      }),
    );
  }

  send(bytes: Uint8Array): void {
    this.wire.send(bytes);
  }

  publish(message: Message): void {
    this.send(publishBytes(message, this.version));
  }

  subscribe(
    packetId: number,
    filters: readonly (Partial<FilterRequest> & { filter: string })[],
    properties: Properties = NO_PROPERTIES,
  ): void {
    const all = filters.map((each) => ({
      qos: 0 as const,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0 as const,
      ...each,
    }));
    this.send(encodeSubscribe({ packetId, properties, filters: all }, this.version));
  }

  /** Subscribes and waits for SUBACK. */
  async subscribed(
    filter: string,
    options: Partial<FilterRequest> = {},
    properties: Properties = NO_PROPERTIES,
  ): Promise<void> {
    this.subscribe(999, [{ filter, ...options }], properties);
    await this.expect('SUBACK');
  }

  unsubscribe(packetId: number, filters: readonly string[]): void {
    this.send(encodeUnsubscribe({ packetId, properties: NO_PROPERTIES, filters }, this.version));
  }

  ack(type: number, packetId: number, reason = 0): void {
    this.send(encodeAck(type, { packetId, reason, properties: NO_PROPERTIES }, this.version));
  }

  puback(packetId: number): void {
    this.ack(PUBACK, packetId);
  }

  pubrec(packetId: number, reason = 0): void {
    this.ack(PUBREC, packetId, reason);
  }

  pubrel(packetId: number): void {
    this.ack(PUBREL, packetId);
  }

  pubcomp(packetId: number): void {
    this.ack(PUBCOMP, packetId);
  }

  /** The next packet; waits for it. */
  async next(): Promise<Shown> {
    if (this.#packets.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await Promise.race([promise, this.wire.closed, this.#patience()]);
    }
    const packet = this.#packets.shift();
    if (packet === undefined) throw new Error('no packet came');
    return packet;
  }

  /** Real time, because passwords are checked in a thread; only a failing test waits it out. */
  #patience(): Promise<void> {
    return new Promise((resolve) => void setTimeout(resolve, PATIENCE_MS).unref());
  }

  async expect(type: string): Promise<Shown> {
    const packet = await this.next();
    if (packet.type !== type) throw new Error(`${type} expected, got ${JSON.stringify(packet)}`);
    return packet;
  }

  /** All that has come when the server has nothing more to do for it. */
  async quiet(): Promise<Shown[]> {
    for (let turns = 0; turns < 50; turns++) await turn();
    return this.#packets.splice(0);
  }

  async closed(): Promise<void> {
    await this.wire.closed;
  }

  /** The network fails. */
  drop(): void {
    this.wire.close(new Error('reset'));
  }

  #receive(chunk: Buffer): void {
    this.#framer.push(chunk);
    while (this.#framer.next(this.#reader, 1 << 28)) {
      this.#packets.push(show(this.#reader, this.version));
      this.#framer.consume();
    }
    this.#arrived();
  }
}

/** All packets in what was written. */
export function decodeAll(chunks: readonly Buffer[], version: Version): Shown[] {
  const framer = new Framer();
  const reader = new PacketReader();
  const packets: Shown[] = [];
  for (const chunk of chunks) framer.push(chunk);
  while (framer.next(reader, 1 << 28)) {
    packets.push(show(reader, version));
    framer.consume();
  }
  return packets;
}

export function publishBytes(message: Message, version: Version): Buffer {
  propertyScratch.reset();
  if (version === 5) fillProperties(propertyScratch, message.properties ?? NO_PROPERTIES);
  const payload = message.payload ?? '';
  const fields = {
    topic: message.topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    qos: message.qos ?? 0,
    retain: message.retain ?? false,
    dup: message.dup ?? false,
    packetId: message.packetId ?? 1,
  };
  const { head, payload: tail } = encodePublishFilled(fields, version);
  return Buffer.concat([head, tail]);
}

function show(reader: PacketReader, version: Version): Shown {
  const type = packetName(reader.type);
  switch (reader.type) {
    case CONNACK: {
      const connack: ConnackPacket = decodeConnack(reader, version);
      return { type, ...connack };
    }
    case PUBLISH: {
      const packet = new PublishPacket();
      decodePublish(reader, version, packet);
      const { qos, retain, dup, packetId, properties } = packet;
      const text = { topic: packet.topic.toString(), payload: packet.payload.toString() };
      return { type, ...text, qos, retain, dup, packetId, properties };
    }
    case SUBACK:
    case UNSUBACK:
      return { type, ...decodeCodes(reader, version) };
    case AUTH:
      return { type, ...decodeAuth(reader) };
    case DISCONNECT:
      return { type, ...decodeDisconnect(reader, version, false) };
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return { type, ...decodeAck(reader, version) };
    default:
      return { type };
  }
}
