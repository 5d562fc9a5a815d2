/**
 * An MQTT 3.1.1 client that is just enough to load a broker. Packets are written from the
 * specification; nothing is shared with the server.
 */

import { type Scanner, Signal, Wire } from './wire.ts';

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBACK = 9;
const DISCONNECT = Buffer.from([0xe0, 0]);
const IDLE_BUFFER_BYTES = 512;
/** Longer than any run: nobody pings. rumqttd refuses 0. */
const KEEP_ALIVE_S = 3_600;

export interface PacketSink {
  /** A whole packet: its first byte, and where the variable header starts and the packet ends. */
  packet(first: number, bytes: Buffer, start: number, end: number): void;
  /** All whole packets of one read were given. */
  drained(): void;
}

/** Walks packets in place: one length per packet, no copies. */
export class PacketScanner implements Scanner {
  readonly #sink: PacketSink;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 2) {
      let length = 0;
      let cursor = at + 1;
      let shift = 0;
      let byte = 0x80;
      while (byte >= 0x80 && cursor < end) {
        byte = bytes[cursor++]!;
        length |= (byte & 0x7f) << shift;
        shift += 7;
      }
      if (byte >= 0x80 || cursor + length > end) break;
      this.#sink.packet(bytes[at]!, bytes, cursor, cursor + length);
      at = cursor + length;
    }
    this.#sink.drained();
    return at;
  }
}

function text(value: string): Buffer {
  const body = Buffer.from(value);
  return Buffer.concat([Buffer.from([body.length >> 8, body.length & 0xff]), body]);
}

export function packetOf(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [first];
  let left = body.length;
  do {
    const byte = left & 0x7f;
    left >>= 7;
    head.push(left > 0 ? byte | 0x80 : byte);
  } while (left > 0);
  return Buffer.concat([Buffer.from(head), body]);
}

export function connectPacket(clientId: string, clean: boolean): Buffer {
  const flags = clean ? 2 : 0;
  return packetOf(
    0x10,
    text('MQTT'),
    Buffer.from([4, flags, KEEP_ALIVE_S >> 8, KEEP_ALIVE_S & 0xff]),
    text(clientId),
  );
}

export function subscribePacket(filter: string, qos: number): Buffer {
  return packetOf(0x82, Buffer.from([0, 1]), text(filter), Buffer.from([qos]));
}

/** One request for many filters at QoS 0. */
export function subscribeManyPacket(filters: readonly string[]): Buffer {
  const parts = filters.flatMap((filter) => [text(filter), Buffer.from([0])]);
  return packetOf(0x82, Buffer.from([0, 1]), ...parts);
}

export function publishPacket(topic: string, payload: Buffer, id: number): Buffer {
  if (id === 0) return packetOf(0x30, text(topic), payload);
  return packetOf(0x32, text(topic), Buffer.from([id >> 8, id & 0xff]), payload);
}

/** Collects handshake answers, counts the rest. */
export class Client implements PacketSink {
  readonly connected = new Signal();
  subscribed = new Signal();
  publishes = 0;
  pubacks = 0;
  onPublish: ((bytes: Buffer, start: number, end: number, first: number) => void) | undefined;
  onDrained: (() => void) | undefined;
  wire!: Wire;

  static async open(
    port: number,
    clientId: string,
    clean: boolean,
    bufferBytes?: number,
  ): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, new PacketScanner(client), bufferBytes);
    client.wire.send(connectPacket(clientId, clean));
    await client.connected.promise;
    return client;
  }

  async subscribe(filter: string, qos: number): Promise<void> {
    this.wire.send(subscribePacket(filter, qos));
    await this.subscribed.promise;
  }

  async subscribeMany(filters: readonly string[]): Promise<void> {
    this.subscribed = new Signal();
    this.wire.send(subscribeManyPacket(filters));
    await this.subscribed.promise;
  }

  async leave(): Promise<void> {
    this.wire.send(DISCONNECT);
    await this.wire.close();
  }

  packet(first: number, bytes: Buffer, start: number, end: number): void {
    switch (first >> 4) {
      case PUBLISH:
        this.publishes++;
        this.onPublish?.(bytes, start, end, first);
        break;
      case PUBACK:
        this.pubacks++;
        break;
      case CONNACK:
        if (bytes[start + 1] !== 0) throw new Error(`CONNACK refused: ${bytes[start + 1]}`);
        this.connected.fire();
        break;
      case SUBACK:
        if (bytes[start + 2]! > 2) throw new Error(`SUBACK refused: ${bytes[start + 2]}`);
        this.subscribed.fire();
        break;
    }
  }

  drained(): void {
    this.onDrained?.();
  }
}

/** A connection that says nothing until it is closed. */
export async function openIdle(port: number, clientId: string): Promise<Wire> {
  const client = new Client();
  client.wire = await Wire.open(port, new PacketScanner(client), IDLE_BUFFER_BYTES);
  client.wire.send(connectPacket(clientId, true));
  await client.connected.promise;
  return client.wire;
}
