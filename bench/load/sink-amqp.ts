/**
 * AMQP side of the sink: fixed answers of the handshake, one multiple ack per read. Consumers get
 * what comes, or, where payloads do not matter, a block of deliveries that was built before.
 */

import type { Socket } from 'node:net';
import { frameOf } from './amqp-client.ts';
import { ByteWriter } from './bytes.ts';
import type { Peers } from './sink.ts';
import type { Scanner } from './wire.ts';

const method = (channel: number, classId: number, methodId: number, args: Buffer) =>
  frameOf(1, channel, new ByteWriter().i16(classId).i16(methodId).raw(args).done());

const START = new ByteWriter().u8(0).u8(9).i32(0).i32(5).raw(Buffer.from('PLAIN'));
const START_FRAME = method(0, 10, 10, START.i32(5).raw(Buffer.from('en_US')).done());
const TUNE_FRAME = method(0, 10, 30, new ByteWriter().i16(2047).i32(131_072).i16(0).done());
const OPEN_OK = method(0, 10, 41, Buffer.from([0]));
const CHANNEL_OPEN_OK = method(1, 20, 11, Buffer.alloc(4));
const DECLARE_OK = method(1, 50, 11, new ByteWriter().text8('q').i32(0).i32(0).done());
const DELETE_OK = method(1, 50, 41, Buffer.alloc(4));
const SELECT_OK = method(1, 85, 11, Buffer.alloc(0));

const QOS_OK = method(1, 60, 11, Buffer.alloc(0));
const CONSUME_OK = method(1, 60, 21, new ByteWriter().text8('c').done());
const DELIVER_ARGS = new ByteWriter().text8('c').i64(1).u8(0).text8('').text8('q');
const DELIVER = method(1, 60, 60, DELIVER_ARGS.done());
const BLOCK_MESSAGES = 1_024;

const CONSUME = (60 << 16) | 20;
const ACK = (60 << 16) | 80;

const ANSWERS = new Map<number, Buffer>([
  [(10 << 16) | 11, TUNE_FRAME],
  [(10 << 16) | 40, OPEN_OK],
  [(20 << 16) | 10, CHANNEL_OPEN_OK],
  [(50 << 16) | 10, DECLARE_OK],
  [(50 << 16) | 40, DELETE_OK],
  [(85 << 16) | 10, SELECT_OK],
  [(60 << 16) | 10, QOS_OK],
  [CONSUME, CONSUME_OK],
]);

export class AmqpSink implements Scanner {
  readonly #socket: Socket;
  readonly #peers: Peers;
  #greeted = false;
  #confirms = false;
  #tag = 0;
  /** A content header and its body, as the last publish had them; deliveries of it. */
  #content = 0;
  #block = Buffer.alloc(0);

  constructor(socket: Socket, peers: Peers) {
    this.#socket = socket;
    this.#peers = peers;
  }

  scan(bytes: Buffer, end: number): number {
    if (!this.#greeted) {
      if (end < 8) return 0;
      this.#greeted = true;
      this.#socket.write(START_FRAME);
      return 8;
    }
    let at = 0;
    let bodies = 0;
    let contentAt = 0;
    while (end - at >= 8) {
      const next = at + 8 + bytes.readUInt32BE(at + 3);
      if (next > end) break;
      if (bytes[at] === 2 && !this.#bodyFollows(bytes, next, end)) break;
      if (bytes[at] === 2) contentAt = at;
      else if (bytes[at] === 1) this.#method(bytes.readInt32BE(at + 7));
      else {
        bodies++;
        this.#learn(bytes, contentAt, next);
        if (this.#peers.exact) this.#forward(bytes.subarray(contentAt, next));
      }
      at = next;
    }
    if (bodies > 0) this.#answer(bodies);
    return at;
  }

  /** A header is taken with its body or not at all. */
  #bodyFollows(bytes: Buffer, at: number, end: number): boolean {
    return end - at >= 8 && at + 8 + bytes.readUInt32BE(at + 3) <= end;
  }

  #method(methodId: number): void {
    const answer = ANSWERS.get(methodId);
    if (answer !== undefined) this.#socket.write(answer);
    if (methodId === (85 << 16) + 10) this.#confirms = true;
    if (methodId === CONSUME) this.#peers.subscribers.set(this.#socket, '');
    const drains = methodId === CONSUME || methodId === ACK;
    // A consumer of a backlog: the next deliveries, unless the last are still on their way.
    if (drains && this.#peers.backlog && this.#socket.writableLength < this.#peers.block.length) {
      this.#socket.write(this.#peers.block);
    }
  }

  #learn(bytes: Buffer, from: number, to: number): void {
    if (to - from === this.#content) return;
    this.#content = to - from;
    const one = Buffer.concat([DELIVER, bytes.subarray(from, to)]);
    this.#block = Buffer.concat(Array.from({ length: BLOCK_MESSAGES }, () => one));
    this.#peers.block = this.#block;
  }

  #forward(content: Buffer): void {
    for (const subscriber of this.#peers.subscribers.keys()) {
      subscriber.write(Buffer.concat([DELIVER, content]));
    }
  }

  #answer(bodies: number): void {
    this.#tag += bodies;
    if (this.#confirms) {
      this.#socket.write(method(1, 60, 80, new ByteWriter().i64(this.#tag).u8(1).done()));
    }
    if (this.#peers.exact) return;
    const delivery = DELIVER.length + this.#content;
    for (const subscriber of this.#peers.subscribers.keys()) {
      for (let left = bodies; left > 0; left -= BLOCK_MESSAGES) {
        subscriber.write(this.#block.subarray(0, Math.min(left, BLOCK_MESSAGES) * delivery));
      }
    }
  }
}
