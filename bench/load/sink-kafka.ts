/**
 * Kafka side of the sink: success for every produce; for a fetch, the last batch over and over, or,
 * where payloads matter, each batch once when it has come.
 */

import type { Socket } from 'node:net';
import { ByteWriter } from './bytes.ts';
import { CREATE_TOPICS, DELETE_TOPICS, FETCH, PRODUCE } from './kafka-client.ts';
import type { Peers } from './sink.ts';
import type { Scanner } from './wire.ts';

export class KafkaSink implements Scanner {
  readonly #socket: Socket;
  readonly #peers: Peers;

  constructor(socket: Socket, peers: Peers) {
    this.#socket = socket;
    this.#peers = peers;
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 4) {
      const next = at + 4 + bytes.readInt32BE(at);
      if (next > end) break;
      this.#request(bytes, at + 4, next);
      at = next;
    }
    return at;
  }

  #request(bytes: Buffer, start: number, end: number): void {
    const key = bytes.readInt16BE(start);
    const body = start + 10 + bytes.readInt16BE(start + 8);
    const answer = new ByteWriter().raw(bytes.subarray(start + 4, start + 8));
    if (key === PRODUCE) this.#produce(answer, bytes, body, end);
    else if (key === CREATE_TOPICS || key === DELETE_TOPICS) this.#create(answer, bytes, body);
    else if (key === FETCH) this.#fetch(answer, bytes, body, end);
    if (key === FETCH) return;
    const done = answer.done();
    this.#socket.write(new ByteWriter().i32(done.length).raw(done).done());
  }

  #produce(answer: ByteWriter, bytes: Buffer, body: number, end: number): void {
    const name = body + 2 + 2 + 4 + 4;
    const length = bytes.readInt16BE(name);
    answer
      .i32(1)
      .raw(bytes.subarray(name, name + 2 + length))
      .i32(1)
      .i32(0)
      .i16(0);
    answer.i64(0).i64(-1).i64(0).i32(0).i16(-1).i32(0);
    const from = name + 2 + length + 4 + 4 + 4;
    if (this.#peers.exact) this.#keep(Buffer.from(bytes.subarray(from, end)));
    if (this.#peers.batch.length === end - from) return;
    this.#peers.batch = Buffer.from(bytes.subarray(from, end));
  }

  #create(answer: ByteWriter, bytes: Buffer, body: number): void {
    const name = body + 4;
    const length = bytes.readInt16BE(name);
    answer
      .i32(0)
      .i32(1)
      .raw(bytes.subarray(name, name + 2 + length))
      .i16(0)
      .i16(-1);
  }

  /** A batch that the next fetch takes, or the one that waits. */
  #keep(batch: Buffer): void {
    const { live } = this.#peers;
    batch.writeBigInt64BE(BigInt(live.end));
    live.end += batch.readInt32BE(57);
    live.batches.push(batch);
    const { waiting } = live;
    live.waiting = undefined;
    waiting?.();
  }

  #fetch(answer: ByteWriter, bytes: Buffer, body: number, end: number): void {
    const name = body + 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4;
    const length = bytes.readInt16BE(name);
    answer
      .i32(0)
      .i16(0)
      .i32(0)
      .i32(1)
      .raw(bytes.subarray(name, name + 2 + length));
    answer.i32(1).i32(0).i16(0).i64(1e12).i64(1e12).i64(0).i32(-1).i32(-1);
    if (this.#peers.exact) this.#fetchLive(answer);
    else this.#fetchBacklog(answer, bytes, end);
  }

  #fetchLive(answer: ByteWriter): void {
    const { live } = this.#peers;
    if (live.batches.length === 0) {
      live.waiting = () => this.#fetchLive(answer);
      return;
    }
    const batches = Buffer.concat(live.batches);
    live.batches = [];
    const done = answer.i32(batches.length).raw(batches).done();
    this.#socket.write(new ByteWriter().i32(done.length).raw(done).done());
  }

  /** As many whole batches as the partition limit allows, as a broker would send. */
  #fetchBacklog(answer: ByteWriter, bytes: Buffer, end: number): void {
    const offset = bytes.readInt32BE(end - 26) * 2 ** 32 + bytes.readUInt32BE(end - 22);
    const batch = this.#peers.batch;
    const records = batch.readInt32BE(57);
    const batches = Math.max(1, Math.floor(bytes.readInt32BE(end - 10) / batch.length));
    answer.i32(batches * batch.length);
    const head = answer.done();
    const all = Buffer.allocUnsafe(4 + head.length + batches * batch.length);
    all.writeInt32BE(all.length - 4);
    head.copy(all, 4);
    for (let i = 0; i < batches; i++) {
      const at = 4 + head.length + i * batch.length;
      batch.copy(all, at);
      all.writeBigInt64BE(BigInt(offset + i * records), at);
    }
    this.#socket.write(all);
  }
}
