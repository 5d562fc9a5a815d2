/**
 * An AMQP 0-9-1 client that is just enough to load a broker: one channel, the default exchange,
 * durable queues. Acks and deliveries are counted where they lie.
 */

import { ByteWriter } from './bytes.ts';
import { type Scanner, Signal, Wire } from './wire.ts';

const METHOD = 1;
const HEADER = 2;
const BODY = 3;
const FRAME_END = 0xce;
/** Confirmed tags above the floor are kept in a ring of this many marks. */
const TAG_MARKS = 1 << 16;

/** Class and method ids in one number. */
const id = (classId: number, methodId: number) => (classId << 16) | methodId;
const CONNECTION_START = id(10, 10);
const CONNECTION_TUNE = id(10, 30);
const CONNECTION_OPEN_OK = id(10, 41);
const CONNECTION_CLOSE = id(10, 50);
const CHANNEL_OPEN_OK = id(20, 11);
const CHANNEL_CLOSE = id(20, 40);
const QUEUE_DECLARE_OK = id(50, 11);
const QUEUE_DELETE_OK = id(50, 41);
const CONFIRM_SELECT_OK = id(85, 11);
const CONSUME_OK = id(60, 21);
const QOS_OK = id(60, 11);
const BASIC_DELIVER = id(60, 60);
const BASIC_ACK = id(60, 80);
const BASIC_NACK = id(60, 120);

export function frameOf(type: number, channel: number, body: Buffer): Buffer {
  const head = new ByteWriter().u8(type).i16(channel).i32(body.length);
  return head.raw(body).u8(FRAME_END).done();
}

function method(channel: number, methodId: number, args: ByteWriter): Buffer {
  return frameOf(METHOD, channel, new ByteWriter().i32(methodId).raw(args.done()).done());
}

const none = () => new ByteWriter();

export const PERSISTENT = 2;
export const TRANSIENT = 1;

/** Publish, content header with the delivery mode, body. */
export function publishFrames(queue: string, payload: Buffer, mode = PERSISTENT): Buffer {
  const header = new ByteWriter().i16(60).i16(0).i64(payload.length).i16(0x1000).u8(mode);
  return Buffer.concat([
    method(1, id(60, 40), none().i16(0).text8('').text8(queue).u8(0)),
    frameOf(HEADER, 1, header.done()),
    frameOf(BODY, 1, payload),
  ]);
}

/** Counts confirmed delivery tags, single and multiple, each once. */
export class ConfirmCounter {
  #floor = 0;
  readonly #marks = new Uint8Array(TAG_MARKS);

  confirm(tag: number, multiple: boolean): number {
    if (!multiple) {
      if (tag === this.#floor + 1) {
        this.#floor = tag;
        this.#skipMarked();
      } else {
        this.#marks[tag % TAG_MARKS] = 1;
      }
      return 1;
    }
    let confirmed = 0;
    while (this.#floor < tag) {
      const mark = ++this.#floor % TAG_MARKS;
      if (this.#marks[mark] === 0) confirmed++;
      this.#marks[mark] = 0;
    }
    this.#skipMarked();
    return confirmed;
  }

  #skipMarked(): void {
    while (this.#marks[(this.#floor + 1) % TAG_MARKS] === 1) {
      this.#marks[++this.#floor % TAG_MARKS] = 0;
    }
  }
}

export class Client implements Scanner {
  confirmed = 0;
  delivered = 0;
  /** Tag of the last delivery. */
  lastTag = 0;
  onRead: (() => void) | undefined;
  onBody: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  wire!: Wire;
  readonly #counter = new ConfirmCounter();
  #awaited = 0;
  #answer: Signal<Buffer> | undefined;

  static async open(port: number): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, client);
    await client.call(Buffer.from('AMQP\0\0\x09\x01', 'latin1'), CONNECTION_START);
    const login = none().i32(0).text8('PLAIN').i32(12).raw(Buffer.from('\0guest\0guest'));
    const tune = await client.call(method(0, id(10, 11), login.text8('en_US')), CONNECTION_TUNE);
    const limits = none().raw(tune.subarray(4, 6)).raw(tune.subarray(6, 10)).i16(0);
    client.wire.send(method(0, id(10, 31), limits));
    await client.call(method(0, id(10, 40), none().text8('/').text8('').u8(0)), CONNECTION_OPEN_OK);
    await client.call(method(1, id(20, 10), none().text8('')), CHANNEL_OPEN_OK);
    return client;
  }

  /** Sends and waits for one method; answers its whole body (class, method, arguments). */
  call(request: Buffer, answer: number): Promise<Buffer> {
    this.#awaited = answer;
    this.#answer = new Signal<Buffer>();
    this.wire.send(request);
    return this.#answer.promise;
  }

  /** Declares a durable queue and answers how many messages wait in it. */
  async declare(queue: string, type: string): Promise<number> {
    const kind = none().text8('x-queue-type').u8(83).i32(type.length).raw(Buffer.from(type)).done();
    const table = type === '' ? none().i32(0) : none().i32(kind.length).raw(kind);
    const args = none().i16(0).text8(queue).u8(2).raw(table.done());
    const ok = await this.call(method(1, id(50, 10), args), QUEUE_DECLARE_OK);
    return ok.readUInt32BE(5 + ok[4]!);
  }

  async select(): Promise<void> {
    await this.call(method(1, id(85, 10), none().u8(0)), CONFIRM_SELECT_OK);
  }

  async remove(queue: string): Promise<void> {
    await this.call(method(1, id(50, 40), none().i16(0).text8(queue).u8(0)), QUEUE_DELETE_OK);
  }

  /**
   * @param prefetch deliveries that may be unacknowledged; 0: the broker counts each delivery as
   *   acknowledged
   */
  async consume(queue: string, prefetch = 0): Promise<void> {
    const limit = none().i32(0).i16(prefetch).u8(0);
    if (prefetch > 0) await this.call(method(1, id(60, 10), limit), QOS_OK);
    const args = none()
      .i16(0)
      .text8(queue)
      .text8('')
      .u8(prefetch > 0 ? 0 : 2);
    await this.call(method(1, id(60, 20), args.i32(0)), CONSUME_OK);
  }

  /** Acknowledges everything up to a delivery in one frame. */
  acknowledge(tag = this.lastTag): void {
    this.wire.send(method(1, BASIC_ACK, none().i64(tag).u8(1)));
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (end - at >= 8) {
      const length = bytes.readUInt32BE(at + 3);
      const next = at + 8 + length;
      if (next > end) break;
      if (bytes[next - 1] !== FRAME_END) throw new Error('a frame without its end octet');
      const type = bytes[at];
      if (type === METHOD) this.#method(bytes, at + 7, next - 1);
      else if (type === BODY) this.#body(bytes, at + 7, next - 1);
      at = next;
    }
    this.onRead?.();
    return at;
  }

  #body(bytes: Buffer, start: number, end: number): void {
    this.delivered++;
    this.onBody?.(bytes, start, end);
  }

  #method(bytes: Buffer, start: number, end: number): void {
    const methodId = bytes.readInt32BE(start);
    if (methodId === BASIC_DELIVER) {
      this.lastTag = bytes.readUInt32BE(start + 5 + bytes[start + 4]! + 4);
    } else if (methodId === BASIC_ACK) {
      const tag = bytes.readUInt32BE(start + 4) * 2 ** 32 + bytes.readUInt32BE(start + 8);
      this.confirmed += this.#counter.confirm(tag, (bytes[start + 12]! & 1) === 1);
    } else if (methodId === this.#awaited) {
      this.#awaited = 0;
      this.#answer?.fire(Buffer.from(bytes.subarray(start, end)));
    } else if (methodId === CONNECTION_CLOSE || methodId === CHANNEL_CLOSE) {
      const reason = bytes.toString('utf8', start + 7, start + 7 + bytes[start + 6]!);
      throw new Error(`closed: ${bytes.readUInt16BE(start + 4)} ${reason}`);
    } else if (methodId === BASIC_NACK) {
      throw new Error('the broker refused a publish (basic.nack)');
    } else {
      throw new Error(`unexpected method ${methodId >> 16}.${methodId & 0xffff}`);
    }
  }
}
