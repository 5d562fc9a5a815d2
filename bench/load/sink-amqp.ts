/** AMQP side of the sink: fixed answers of the handshake, one multiple ack per read. */

import type { Socket } from 'node:net';
import { frameOf } from './amqp.ts';
import { ByteWriter } from './bytes.ts';
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

const ANSWERS = new Map<number, Buffer>([
  [(10 << 16) | 11, TUNE_FRAME],
  [(10 << 16) | 40, OPEN_OK],
  [(20 << 16) | 10, CHANNEL_OPEN_OK],
  [(50 << 16) | 10, DECLARE_OK],
  [(50 << 16) | 40, DELETE_OK],
  [(85 << 16) | 10, SELECT_OK],
]);

export class AmqpSink implements Scanner {
  readonly #socket: Socket;
  #greeted = false;
  #tag = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
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
    while (end - at >= 8) {
      const next = at + 8 + bytes.readUInt32BE(at + 3);
      if (next > end) break;
      if (bytes[at] === 3) bodies++;
      else if (bytes[at] === 1) this.#method(bytes.readInt32BE(at + 7));
      at = next;
    }
    if (bodies > 0) this.#acknowledge(bodies);
    return at;
  }

  #method(methodId: number): void {
    const answer = ANSWERS.get(methodId);
    if (answer !== undefined) this.#socket.write(answer);
  }

  #acknowledge(bodies: number): void {
    this.#tag += bodies;
    this.#socket.write(method(1, 60, 80, new ByteWriter().i64(this.#tag).u8(1).done()));
  }
}
