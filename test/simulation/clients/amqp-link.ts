/** AMQP frames over a wire, with the room's own codec: one connection, one channel. */
import { EMPTY_TABLE, flagEntry, type Table } from '../../../src/protocols/amqp/field-table.ts';
import { FRAME, FrameReader } from '../../../src/protocols/amqp/frame-reader.ts';
import {
  type Fields,
  type MethodName,
  readMethod,
  readMethodId,
  writeMethod,
} from '../../../src/protocols/amqp/methods.ts';
import { PROTOCOL_HEADER } from '../../../src/protocols/amqp/negotiation.ts';
import { Output } from '../../../src/protocols/amqp/output.ts';
import { type Properties, propertyBytes } from '../../../src/protocols/amqp/properties.ts';
import { WireReader } from '../../../src/protocols/amqp/wire-reader.ts';
import { Answer, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { Scheduler } from '../scheduler.ts';

const ANSWER_TIMEOUT_MS = 8_000;
const FRAME_BYTES = 8_192;
const FRAME_BYTES_MAX = 1 << 20;
const CHANNEL = 1;
const BASIC_CLASS = 60;
const CAPABILITIES = ['publisher_confirms', 'basic.nack', 'consumer_cancel_notify'];

export interface Delivered {
  readonly tag: number;
  readonly redelivered: boolean;
  readonly body: Buffer;
}

interface Seen {
  readonly name: MethodName;
  readonly fields: object;
}

export class AmqpLink {
  readonly wire: Wire;
  onDelivery: (delivered: Delivered) => void = () => {};
  /** basic.ack and basic.nack of the publisher's own messages. */
  onConfirm: (tag: number, multiple: boolean, isAck: boolean) => void = () => {};
  /** Rejects when the connection ends; never resolves. */
  readonly lost: Promise<never>;
  readonly #scheduler: Scheduler;
  readonly #lost = new Answer<never>();
  #seen: Seen[] = [];
  #wake: () => void = () => {};
  #delivery: { tag: number; redelivered: boolean; body: Buffer } | null = null;
  #missing = 0;

  constructor(wire: Wire, scheduler: Scheduler) {
    this.wire = wire;
    this.#scheduler = scheduler;
    this.lost = this.#lost.promise;
    const reader = new FrameReader(FRAME_BYTES_MAX, (type, _channel, buffer, at, end) =>
      this.#frame(type, buffer, at, end),
    );
    wire.onData = (chunk) => reader.push(chunk);
    wire.onClosed = () => this.#lost.reject(new Lost('closed'));
  }

  async open(): Promise<void> {
    this.wire.send(PROTOCOL_HEADER);
    await this.#next('connection.start');
    const capabilities: Table = CAPABILITIES.map((name) => flagEntry(name, true));
    this.send('connection.start-ok', {
      clientProperties: [{ name: 'capabilities', type: 'F', value: capabilities }],
      mechanism: 'PLAIN',
      response: Buffer.from('\0guest\0guest'),
      locale: 'en_US',
    });
    await this.#next('connection.tune');
    this.send('connection.tune-ok', { channelMax: 8, frameMax: FRAME_BYTES, heartbeat: 0 });
    this.send('connection.open', { virtualHost: '/', capabilities: '', insist: false });
    await this.#next('connection.open-ok');
    await this.call('channel.open', { outOfBand: '' }, 'channel.open-ok');
  }

  send<Name extends MethodName>(name: Name, fields: Fields<Name>): void {
    const channel = name.startsWith('connection.') ? 0 : CHANNEL;
    this.#write((output) => writeMethod(output, channel, name, fields));
  }

  async call<Name extends MethodName>(
    name: Name,
    fields: Fields<Name>,
    answer: MethodName,
  ): Promise<void> {
    this.send(name, fields);
    await this.#next(answer);
  }

  declare(queue: string, table: Table = EMPTY_TABLE): Promise<void> {
    const fields = {
      ...{ ticket: 0, queue, passive: false, durable: true, exclusive: false },
      ...{ autoDelete: false, noWait: false, arguments: table },
    };
    return this.call('queue.declare', fields, 'queue.declare-ok');
  }

  bind(queue: string, exchange: string, routingKey: string): Promise<void> {
    const fields = { ticket: 0, queue, exchange, routingKey, noWait: false };
    return this.call('queue.bind', { ...fields, arguments: EMPTY_TABLE }, 'queue.bind-ok');
  }

  async consume(queue: string, prefetchCount: number): Promise<void> {
    const qos = { prefetchSize: 0, prefetchCount, global: false };
    await this.call('basic.qos', qos, 'basic.qos-ok');
    const fields = { ticket: 0, queue, consumerTag: '', noLocal: false, noAck: false };
    const rest = { exclusive: false, noWait: false, arguments: EMPTY_TABLE };
    await this.call('basic.consume', { ...fields, ...rest }, 'basic.consume-ok');
  }

  publish(exchange: string, routingKey: string, body: Buffer, properties: Properties = {}): void {
    this.#write((output) => {
      const fields = { ticket: 0, exchange, routingKey, mandatory: false, immediate: false };
      writeMethod(output, CHANNEL, 'basic.publish', fields);
      output.beginFrame(FRAME.header, CHANNEL);
      output.short(BASIC_CLASS);
      output.short(0);
      output.longlong(body.length);
      output.bytes(propertyBytes(properties));
      output.endFrame();
      const part = FRAME_BYTES - 8;
      for (let from = 0; from < body.length; from += part) {
        output.frame(FRAME.body, CHANNEL, body, from, Math.min(body.length, from + part));
      }
    });
  }

  async #next(name: MethodName): Promise<void> {
    const untilMs = this.#scheduler.nowMs + ANSWER_TIMEOUT_MS;
    for (;;) {
      const index = this.#seen.findIndex((seen) => seen.name === name);
      if (index >= 0) {
        this.#seen.splice(index, 1);
        return;
      }
      if (this.#scheduler.nowMs >= untilMs) throw new Lost(`no ${name} in time`);
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#scheduler.after(ANSWER_TIMEOUT_MS, resolve);
      });
      await Promise.race([woken, this.lost]);
    }
  }

  #write(write: (output: Output) => void): void {
    const chunks: Buffer[] = [];
    const output = new Output((chunk) => chunks.push(Buffer.from(chunk)));
    write(output);
    output.flush();
    this.wire.send(Buffer.concat(chunks));
  }

  #frame(type: number, buffer: Buffer, at: number, end: number): void {
    if (type === FRAME.method) this.#method(buffer, at, end);
    else if (type === FRAME.header) {
      this.#missing = Number(buffer.readBigUInt64BE(at + 4));
      this.#delivered();
    } else if (type === FRAME.body) {
      this.#missing -= end - at;
      const delivery = this.#delivery!;
      delivery.body = Buffer.concat([delivery.body, buffer.subarray(at, end)]);
      this.#delivered();
    }
  }

  #method(buffer: Buffer, at: number, end: number): void {
    const reader = new WireReader().over(buffer, at, end);
    const { name, fields } = readMethod(reader, readMethodId(reader));
    if (name === 'basic.deliver') {
      const { deliveryTag, redelivered } = fields as Fields<'basic.deliver'>;
      this.#delivery = { tag: deliveryTag, redelivered, body: Buffer.alloc(0) };
    } else if (name === 'basic.ack' || name === 'basic.nack') {
      const { deliveryTag, multiple } = fields as Fields<'basic.ack'>;
      this.onConfirm(deliveryTag, multiple, name === 'basic.ack');
    } else if (name === 'channel.close' || name === 'connection.close') {
      const { replyText } = fields as Fields<'channel.close'>;
      this.wire.reset();
      this.#lost.reject(new Lost(`${name}: ${replyText}`));
    } else {
      this.#seen.push({ name, fields });
      this.#wake();
    }
  }

  #delivered(): void {
    if (this.#missing > 0) return;
    const delivery = this.#delivery!;
    this.#delivery = null;
    this.onDelivery(delivery);
  }
}
