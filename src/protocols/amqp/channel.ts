/**
 * One channel: what it has open (consumers, unacknowledged deliveries, confirms, a transaction),
 * and the assembly of published content out of its three kinds of frames. Methods are in
 * `handlers/`.
 */
import type { Delivery, Message, Principal, PublishSink } from '#broker';
import { BrokerError } from '#kit';
import type { ChannelReader } from './channel-reader.ts';
import { ConfirmLedger } from './confirms.ts';
import { type Content, readContent, withReplyTo } from './content.ts';
import { writeDeliver, writeGetOk, writeReturn } from './content-frames.ts';
import type { DirectReply } from './direct-reply.ts';
import { AmqpError } from './errors.ts';
import { BASIC, type Fields, type MethodName } from './methods.ts';
import type { Outbound } from './outbound.ts';
import type { Outstanding } from './outstanding.ts';
import { Publisher, type Route } from './publisher.ts';
import { sameBytes } from './same-bytes.ts';
import { packNative, shownNative } from './shown-properties.ts';
import { type Unacked, UnackedDeliveries } from './unacked.ts';
import type { VirtualHost } from './virtual-host.ts';

/** What a channel needs of its connection. */
export interface ChannelHost {
  readonly host: VirtualHost;
  readonly principal: Principal | null;
  /** As the client logged in; the principal may have another name. */
  readonly userName: string;
  readonly clientName: string;
  readonly cancelNotice: boolean;
  readonly outbound: Outbound;
  readonly outstanding: Outstanding;
  readonly frameMax: number;
  readonly messageBytesMax: number;
  /** The client takes what it gets; false while its socket is full. */
  readonly writable: boolean;
  randomBytes(count: number): Buffer;
  send<Name extends MethodName>(channel: number, name: Name, fields: Fields<Name>): void;
  /** Counts bodies that are being received; refuses more than a connection may hold. */
  assembling(bytes: number): void;
  /** Of content that came: for the quota of its user. */
  unpaidBytes: number;
}

export interface Publication {
  readonly route: Route;
  readonly content: Content;
  readonly value: Buffer;
  readonly mandatory: boolean;
}

/** What waits for tx.commit. */
export interface Transaction {
  readonly publications: Publication[];
  readonly settlements: {
    readonly tag: number;
    readonly multiple: boolean;
    readonly how: 'ack' | 'requeue' | 'reject';
  }[];
  /** Of the bodies. */
  bytes: number;
}

const EMPTY_BODY = Buffer.alloc(0);
/** Class, weight, body size: the fixed part of a content header. */
const CONTENT_HEADER_BYTES = 12;
const FAILURES_OF_SERVER: ReadonlySet<string> = new Set([
  'busy',
  'storage-full',
  'storage-failed',
  'remote-unavailable',
  'closing',
  'limit-reached',
  'timeout',
  'damaged',
]);

type Expecting = 'method' | 'header' | 'body';

export class Channel {
  readonly number: number;
  readonly connection: ChannelHost;
  readonly host: VirtualHost;
  readonly readers = new Map<string, ChannelReader>();
  readonly unacked = new UnackedDeliveries();
  /** basic.qos with global: for all consumers of the channel together; 0 = no limit. */
  sharedPrefetch = 0;
  readerUnackedCount = 0;
  /** For consumers to come. */
  prefetch = 0;
  confirms: ConfirmLedger | null = null;
  transaction: Transaction | null = null;
  lastQueue = '';
  directReply: DirectReply | null = null;
  /** After an error: everything is ignored until the client has closed too. */
  closing = false;
  readonly #publisher: Publisher;
  #heldNotices: string[] | null = null;
  #expecting: Expecting = 'method';
  #route: Route | null = null;
  #mandatory = false;
  #content: Content | null = null;
  #lastContent: Content | null = null;
  #lastContentBytes = EMPTY_BODY;
  #bodySize = 0;
  #bodyReceived = 0;
  #bodyParts: Buffer[] = [];

  constructor(number: number, connection: ChannelHost) {
    this.number = number;
    this.connection = connection;
    this.host = connection.host;
    this.#publisher = new Publisher(connection.host, {
      principal: connection.principal!,
      producer: connection.clientName,
      source: connection,
    });
  }

  get writable(): boolean {
    return !this.closing && this.connection.writable;
  }

  send<Name extends MethodName>(name: Name, fields: Fields<Name>): void {
    this.connection.send(this.number, name, fields);
  }

  /** A method has come where only content may: [specification 4.2.6]. */
  expectMethod(): void {
    if (this.#expecting === 'method') return;
    const what = this.#expecting === 'header' ? 'content header' : 'content body';
    throw new AmqpError(
      505,
      this.#expecting === 'header'
        ? `expected content header for class ${BASIC}, got non content header frame instead`
        : `expected ${what}, got non ${what} frame instead`,
    );
  }

  // ---- publishing ---------------------------------------------------------------------------

  /** basic.publish, read in place: `at` is the position after the method's ids. */
  beginPublish(buffer: Buffer, at: number, end: number): void {
    const exchangeAt = at + 2;
    const keyAt = exchangeAt + 1 + (buffer[exchangeAt] ?? 0);
    const flagsAt = keyAt + 1 + (buffer[keyAt] ?? 0);
    if (flagsAt + 1 !== end) throw new AmqpError(502, 'basic.publish has a wrong length');
    const flags = buffer[flagsAt]!;
    if ((flags & 2) !== 0) throw new AmqpError(540, 'immediate=true');
    this.#route = this.#publisher.open(buffer, exchangeAt, flagsAt);
    this.#mandatory = (flags & 1) !== 0;
    this.#expecting = 'header';
  }

  header(buffer: Buffer, at: number, end: number): void {
    if (this.#expecting !== 'header') {
      throw new AmqpError(505, 'expected method frame, got content header frame instead');
    }
    if (end - at < CONTENT_HEADER_BYTES + 2) throw new AmqpError(502, 'content header is cut off');
    const classId = buffer.readUInt16BE(at);
    if (classId !== BASIC) {
      throw new AmqpError(
        505,
        `expected content header for class ${BASIC}, got one for class ${classId} instead`,
      );
    }
    const size = buffer.readUInt32BE(at + 4) * 0x100000000 + buffer.readUInt32BE(at + 8);
    // [A43] Refused before the body comes.
    const { messageBytesMax } = this.connection;
    if (size > messageBytesMax) {
      throw new AmqpError(
        406,
        `message size ${size} is larger than configured max size ${messageBytesMax}`,
      );
    }
    this.connection.unpaidBytes += end - at;
    this.#content = this.#contentOf(buffer, at + CONTENT_HEADER_BYTES, end);
    this.#bodySize = size;
    this.#bodyReceived = 0;
    this.#expecting = 'body';
    // [A29] A body of zero bytes has no body frame.
    if (size === 0) this.#complete(EMPTY_BODY);
  }

  /** Publishers repeat their properties: equal bytes are the same content. */
  #contentOf(buffer: Buffer, at: number, end: number): Content {
    if (this.#lastContent !== null && sameBytes(this.#lastContentBytes, buffer, at, end)) {
      return this.#lastContent;
    }
    // A copy, so that neither cache nor message holds on to the whole chunk.
    const bytes = Buffer.from(buffer.subarray(at, end));
    this.#lastContent = readContent(bytes);
    this.#lastContentBytes = bytes;
    return this.#lastContent;
  }

  body(buffer: Buffer, at: number, end: number): void {
    if (this.#expecting !== 'body') {
      throw new AmqpError(505, 'expected method frame, got content body frame instead');
    }
    const size = end - at;
    this.connection.unpaidBytes += size;
    if (this.#bodyReceived + size > this.#bodySize) {
      throw new AmqpError(501, `content body is larger than its announced ${this.#bodySize} bytes`);
    }
    if (size === this.#bodySize) {
      this.#complete(buffer.subarray(at, end));
      return;
    }
    this.#bodyParts.push(buffer.subarray(at, end));
    this.#bodyReceived += size;
    this.connection.assembling(size);
    if (this.#bodyReceived < this.#bodySize) return;
    const body = Buffer.concat(this.#bodyParts, this.#bodySize);
    this.#forgetBody();
    this.#complete(body);
  }

  #forgetBody(): void {
    if (this.#bodyParts.length === 0) return;
    this.connection.assembling(-this.#bodyReceived);
    this.#bodyParts = [];
    this.#bodyReceived = 0;
  }

  #complete(value: Buffer): void {
    this.#expecting = 'method';
    const route = this.#route!;
    let content = this.#content!;
    if (content.properties.userId !== undefined) this.#checkUser(content.properties.userId);
    if (content.directReply) {
      if (this.directReply === null) throw new AmqpError(406, 'fast reply consumer does not exist');
      content = withReplyTo(content, this.directReply.name);
    }
    if (this.transaction === null) {
      this.publish({ route, content, value, mandatory: this.#mandatory });
      return;
    }
    this.transaction.bytes += value.length;
    this.connection.assembling(value.length);
    this.transaction.publications.push({
      route,
      content,
      value: Buffer.from(value),
      mandatory: this.#mandatory,
    });
  }

  /** [A39] */
  #checkUser(userId: string): void {
    const { userName, principal } = this.connection;
    if (userId === userName || userId === principal!.name || principal!.superuser) return;
    throw new AmqpError(
      406,
      `user_id property set to '${userId}' but authenticated user was '${userName}'`,
    );
  }

  /** Publishes and, with mandatory, returns what reached nobody, before its confirm [A27]. */
  publish({ route, content, value, mandatory }: Publication): void {
    const { confirms } = this;
    const { outstanding } = this.connection;
    const tag = confirms === null ? 0 : confirms.next();
    outstanding.begin();
    try {
      const outcome = this.#publisher.publish(route, content, value, confirms ?? outstanding, tag);
      if (outcome === 'unroutable' && mandatory) this.#return(route, content, value);
      if (outcome !== 'rejected') return;
      outstanding.end();
      confirms?.refused(tag, new BrokerError('limit-reached'));
    } catch (error) {
      outstanding.end();
      if (!(error instanceof BrokerError)) throw error;
      if (confirms === null || !FAILURES_OF_SERVER.has(error.code)) throw error;
      confirms.refused(tag, error);
    }
  }

  /** Asks whether a message of a transaction may still go its way. @throws AmqpError 404, 403 */
  checkPublication({ route, content }: Publication): void {
    this.#publisher.check(route, content);
  }

  /** Publishes with a sink of the caller's; for transactions. */
  publishFor(publication: Publication, sink: PublishSink, tag: number): void {
    const { route, content, value, mandatory } = publication;
    const outcome = this.#publisher.publish(route, content, value, sink, tag);
    if (outcome === 'unroutable' && mandatory) this.#return(route, content, value);
    if (outcome === 'rejected') sink.published(tag, new BrokerError('limit-reached'));
  }

  #return(route: Route, content: Content, value: Buffer): void {
    const { outbound, frameMax } = this.connection;
    const packed = packNative(route.names, content.bytes);
    writeReturn(outbound.output, this.number, frameMax, 312, 'NO_ROUTE', packed, value);
  }

  // ---- delivering ---------------------------------------------------------------------------

  writeDelivery(tagBytes: Buffer, tag: number, delivery: Delivery, queueName: string): void {
    this.#deliver(tagBytes, tag, delivery.redelivered, delivery.message, queueName);
  }

  /** A message that belongs to no queue: a direct reply. */
  writeMessage(tagBytes: Buffer, message: Message, queueName: string): void {
    this.#deliver(tagBytes, this.unacked.pass(), false, message, queueName);
  }

  #deliver(
    tagBytes: Buffer,
    tag: number,
    redelivered: boolean,
    message: Message,
    queueName: string,
  ): void {
    const { outbound, frameMax } = this.connection;
    const { output } = outbound;
    const packed = this.#packed(message, queueName);
    const { value } = message;
    writeDeliver(output, this.number, frameMax, tagBytes, tag, redelivered, packed, value);
    outbound.wake();
  }

  writeGot(tag: number, delivery: Delivery, queueName: string, messageCount: number): void {
    const { outbound, frameMax } = this.connection;
    const { message, redelivered } = delivery;
    const packed = this.#packed(message, queueName);
    const { output } = outbound;
    writeGetOk(
      output,
      this.number,
      frameMax,
      tag,
      redelivered,
      messageCount,
      packed,
      message.value,
    );
    outbound.wake();
  }

  /** Exchange, routing key and properties. */
  #packed(message: Message, queueName: string): Buffer {
    const { native } = message;
    // [A42] An AMQP message is given back as it came: types, order and unknown headers.
    if (native !== null && message.origin === this.host.origin) return native;
    return shownNative(message, queueName, this.host.clock.nowMs());
  }

  // ---- settling and ending ------------------------------------------------------------------

  startConfirms(): void {
    this.confirms ??= new ConfirmLedger(this.connection.outstanding, () =>
      this.connection.outbound.confirmsDue(this),
    );
  }

  flushConfirms(): void {
    this.confirms?.flush((deliveryTag, multiple, acked) => {
      if (this.closing) return;
      if (acked) this.send('basic.ack', { deliveryTag, multiple });
      else this.send('basic.nack', { deliveryTag, multiple, requeue: false });
    });
  }

  settle(unacked: Unacked, how: 'ack' | 'requeue' | 'reject'): void {
    unacked.reader?.settled();
    if (!unacked.queue.ended) unacked.queue[how](unacked.delivery);
    const { outbound } = this.connection;
    if (unacked.reader !== null) outbound.wakeReader(unacked.reader);
    // A limit for the whole channel holds back its other consumers as well.
    if (this.sharedPrefetch > 0) {
      for (const reader of this.readers.values()) outbound.wakeReader(reader);
    }
  }

  /** The queue of a consumer was deleted: told to clients that can hear it [A26]. */
  readerGone(reader: ChannelReader): void {
    if (this.readers.delete(reader.facts.tag)) this.cancelled(reader.facts.tag);
  }

  /** Tells a client that can hear it that its consumer has ended. */
  cancelled(consumerTag: string): void {
    if (this.closing || !this.connection.cancelNotice) return;
    if (this.#heldNotices !== null) {
      this.#heldNotices.push(consumerTag);
      return;
    }
    this.send('basic.cancel', { consumerTag, noWait: true });
    this.connection.outbound.wake();
  }

  /** A channel that deletes the queue of its own consumer is answered before it is told. */
  holdNotices(): void {
    this.#heldNotices ??= [];
  }

  releaseNotices(): void {
    const tags = this.#heldNotices ?? [];
    this.#heldNotices = null;
    for (const consumerTag of tags) this.send('basic.cancel', { consumerTag, noWait: true });
  }

  removeReader(reader: ChannelReader): void {
    this.readers.delete(reader.facts.tag);
    if (reader.facts.exclusive) reader.queue.exclusiveReader = false;
    reader.queue.removeReader(reader);
  }

  /** Stops everything: consumers end, what was not acknowledged goes back to its place. */
  end(): void {
    this.closing = true;
    this.#forgetBody();
    if (this.transaction !== null) this.connection.assembling(-this.transaction.bytes);
    this.transaction = null;
    this.directReply?.end();
    this.directReply = null;
    const readers = [...this.readers.values()];
    for (const reader of readers) this.removeReader(reader);
    for (const { queue, delivery } of this.unacked.takeAll()) {
      if (!queue.ended) queue.requeue(delivery);
    }
    for (const { queue } of readers) queue.readerLeft();
  }
}
