/**
 * MQTT side of the sink: forwards publishes as they came, acknowledges QoS 1 in one write.
 */

import type { Socket } from 'node:net';
import { PacketScanner, type PacketSink } from './mqtt-client.ts';
import type { Peers } from './sink.ts';
import type { Scanner } from './wire.ts';

const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const ACKS_BYTES = 4 * 65_536;

export class MqttSink implements PacketSink, Scanner {
  readonly #socket: Socket;
  readonly #peers: Peers;
  readonly #scanner = new PacketScanner(this);
  #acks = Buffer.allocUnsafe(ACKS_BYTES);
  #acksEnd = 0;
  #forwardFrom = -1;
  #forwardTo = 0;
  #bytes: Buffer = this.#acks;

  constructor(socket: Socket, peers: Peers) {
    this.#socket = socket;
    this.#peers = peers;
  }

  scan(bytes: Buffer, end: number): number {
    this.#bytes = bytes;
    return this.#scanner.scan(bytes, end);
  }

  packet(first: number, bytes: Buffer, start: number, end: number): void {
    switch (first >> 4) {
      case 1:
        this.#socket.write(CONNACK);
        break;
      case 8:
        this.#peers.subscribers.set(this.#socket, '');
        this.#socket.write(Buffer.from([0x90, 3, bytes[start]!, bytes[start + 1]!, 0]));
        break;
      case 3:
        if (this.#peers.subscribers.size > 0) this.#forward(start, end);
        if ((first & 6) !== 0) this.#acknowledge(bytes, start + 2 + bytes.readUInt16BE(start));
        break;
    }
  }

  drained(): void {
    if (this.#acksEnd > 0) this.#socket.write(this.#acks.subarray(0, this.#acksEnd));
    if (this.#acksEnd > 0) this.#acks = Buffer.allocUnsafe(ACKS_BYTES);
    this.#acksEnd = 0;
    if (this.#forwardFrom >= 0) {
      const publishes = this.#bytes.subarray(this.#forwardFrom, this.#forwardTo);
      for (const subscriber of this.#peers.subscribers.keys()) subscriber.write(publishes);
    }
    this.#forwardFrom = -1;
  }

  /** Publishes lie back to back; the fixed header before `start` is two or three bytes. */
  #forward(start: number, end: number): void {
    if (this.#forwardFrom < 0) this.#forwardFrom = start - (end - start > 127 ? 3 : 2);
    this.#forwardTo = end;
  }

  #acknowledge(bytes: Buffer, at: number): void {
    const acks = this.#acks;
    acks[this.#acksEnd++] = 0x40;
    acks[this.#acksEnd++] = 2;
    acks[this.#acksEnd++] = bytes[at]!;
    acks[this.#acksEnd++] = bytes[at + 1]!;
  }
}
