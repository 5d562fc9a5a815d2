/**
 * NATS side of the sink: one pre-built MSG block per size, PONG for PING. Where payloads matter, a
 * MSG with the payload that came.
 */

import type { Socket } from 'node:net';
import type { Peers } from './sink.ts';
import type { Scanner } from './wire.ts';

const INFO = 'INFO {"server_id":"sink","version":"0","proto":1,"max_payload":1048576}\r\n';
const PONG = Buffer.from('PONG\r\n');
const LF = 10;
const BLOCK_MESSAGES = 4_096;

export class NatsSink implements Scanner {
  readonly #socket: Socket;
  readonly #peers: Peers;
  #frameBytes = 0;
  #lineBytes = 0;
  #messageBytes = 0;
  #block = Buffer.alloc(0);
  #subject = '';
  #head = Buffer.alloc(0);

  constructor(socket: Socket, peers: Peers) {
    this.#socket = socket;
    this.#peers = peers;
    socket.write(INFO);
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    let published = 0;
    let pongs = 0;
    while (at < end) {
      if (this.#sameShape(bytes, at)) {
        if (at + this.#frameBytes > end) break;
        if (this.#peers.exact) this.#forward(bytes, at);
        else published++;
        at += this.#frameBytes;
        continue;
      }
      const lf = bytes.indexOf(LF, at);
      if (lf < 0) break;
      if (bytes[at] === 80 && bytes[at + 1] === 85) {
        this.#learn(bytes.toString('latin1', at, lf - 1), lf + 1 - at);
        continue;
      }
      if (bytes[at] === 80) pongs++;
      else if (bytes[at] === 83) this.#subscribe(bytes.toString('latin1', at, lf - 1));
      at = lf + 1;
    }
    this.#answer(published, pongs);
    return at;
  }

  #sameShape(bytes: Buffer, at: number): boolean {
    const line = this.#lineBytes;
    return line > 0 && bytes[at] === 80 && bytes[at + 1] === 85 && bytes[at + line - 1] === LF;
  }

  #learn(line: string, lineBytes: number): void {
    const [, subject = '', ...rest] = line.split(' ');
    const size = rest.at(-1);
    const reply = rest.length > 1 ? `${rest[0]} ` : '';
    this.#subject = subject;
    this.#lineBytes = lineBytes;
    this.#frameBytes = lineBytes + Number(size) + 2;
    this.#head = Buffer.from(`MSG ${subject} 1 ${reply}${size}\r\n`);
    const message = Buffer.concat([
      this.#head,
      Buffer.alloc(Number(size), 120),
      Buffer.from('\r\n'),
    ]);
    this.#messageBytes = message.length;
    this.#block = Buffer.concat(Array.from({ length: BLOCK_MESSAGES }, () => message));
  }

  #answer(published: number, pongs: number): void {
    for (let left = published; left > 0; ) {
      const count = Math.min(left, BLOCK_MESSAGES);
      this.#deliver(this.#block.subarray(0, count * this.#messageBytes));
      left -= count;
    }
    for (let i = 0; i < pongs; i++) this.#socket.write(PONG);
  }

  #subscribe(line: string): void {
    this.#peers.subscribers.set(this.#socket, line.split(' ')[1]!);
  }

  #forward(bytes: Buffer, at: number): void {
    const payload = bytes.subarray(at + this.#lineBytes, at + this.#frameBytes);
    this.#deliver(Buffer.concat([this.#head, payload]));
  }

  #deliver(bytes: Buffer): void {
    for (const [subscriber, subject] of this.#peers.subscribers) {
      if (subject === this.#subject) subscriber.write(bytes);
    }
  }
}
