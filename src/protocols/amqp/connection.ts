/**
 * One client: its life from the protocol header to the close, its channels, its back-pressure. Frames
 * are taken apart by `frame-reader.ts`; what methods do is in `handlers/`.
 */
import type { Principal } from '#broker';
import type { Connection, ConnectionHandler } from '#contract';
import { BrokerError, type Log, ProtocolError, type Timer } from '#kit';
import type { AmqpQueue } from './amqp-queue.ts';
import { Channel, type ChannelHost } from './channel.ts';
import { AmqpError, amqpError, type ReplyCode } from './errors.ts';
import { FRAME, FrameReader } from './frame-reader.ts';
import { methodHandlers } from './handlers/index.ts';
import { Heartbeat } from './heartbeat.ts';
import {
  type Fields,
  type Method,
  type MethodId,
  type MethodName,
  methodNamed,
  readMethod,
  readMethodId,
  writeMethod,
} from './methods.ts';
import {
  type ClientFacts,
  clientFacts,
  foreignGreeting,
  isProtocolHeader,
  loginRefused,
  MECHANISMS,
  mayBecomeHeader,
  PROTOCOL_HEADER,
  readLogin,
  serverProperties,
  type Tuning,
  tuned,
} from './negotiation.ts';
import { Output } from './output.ts';
import { Outstanding } from './outstanding.ts';
import type { AmqpServer } from './server.ts';
import { WireReader } from './wire-reader.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How long a peer may take to answer our connection.close. */
const CLOSE_TIMEOUT_MS = 10_000;
/** Bodies that a connection may have half received, over all its channels. */
const ASSEMBLING_BYTES_MAX = 128 << 20;
/** Bytes that may wait while a connection is held, before its socket is paused. */
const HELD_BYTES_MAX = 256 << 10;
const PUBLISH: MethodId = methodNamed('basic.publish').id;
const EMPTY = Buffer.alloc(0);

/** Methods that show a queue's messages or end the sight of it: publishes before them come first. */
const AFTER_PUBLISHES: ReadonlySet<MethodName> = new Set<MethodName>([
  'queue.declare',
  'queue.purge',
  'queue.delete',
  'basic.get',
  'tx.select',
  'channel.close',
]);

type State = 'header' | 'start' | 'tune' | 'opening' | 'open' | 'closing' | 'closed';

/** Which method an error is about, for the close that answers it. */
interface Offender {
  readonly classId: number;
  readonly methodId: number;
}

const NOBODY: Offender = { classId: 0, methodId: 0 };

export class AmqpConnection implements ConnectionHandler, ChannelHost {
  readonly socket: Connection;
  readonly output: Output;
  readonly outstanding = new Outstanding();
  readonly channels = new Map<number, Channel>();
  principal!: Principal;
  userName = '';
  client: ClientFacts = clientFacts([]);
  frameMax: number;
  readonly messageBytesMax: number;
  readonly #server: AmqpServer;
  readonly #log: Log;
  readonly #reader: FrameReader;
  readonly #wire = new WireReader();
  #tuning: Tuning;
  #state: State = 'header';
  #greeting: Buffer = EMPTY;
  #heartbeat: Heartbeat | null = null;
  #timer: Timer | null = null;
  #congested = false;
  #blockedTold = false;
  #flushAsked = false;
  #reading = false;
  #socketPaused = false;
  #assemblingBytes = 0;
  readonly #queuesToWake = new Set<AmqpQueue>();
  readonly #confirming = new Set<Channel>();
  #publishes = false;
  #offender: Offender = NOBODY;
  readonly #flushNow = (): void => {
    this.#flushAsked = false;
    this.#flush();
  };

  constructor(socket: Connection, server: AmqpServer) {
    this.socket = socket;
    this.#server = server;
    this.#log = server.log.with({ connection: socket.id, peer: socket.peer.address });
    this.#tuning = server.tuning;
    this.frameMax = server.tuning.frameMax;
    this.messageBytesMax = server.messageBytesMax;
    this.output = new Output((chunk) => {
      if (!this.socket.write(chunk)) this.#congested = true;
      this.#heartbeat?.sent();
    });
    this.#reader = new FrameReader(this.frameMax, (type, channel, buffer, at, end) =>
      this.#frame(type, channel, buffer, at, end),
    );
    this.#timer = server.timers.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.#abort('handshake timeout');
    });
  }

  get host() {
    return this.#server.host;
  }

  get clientName(): string {
    return this.client.name;
  }

  get cancelNotice(): boolean {
    return this.client.cancelNotice;
  }

  get state(): State {
    return this.#state;
  }

  get writable(): boolean {
    return !this.#congested && this.#state === 'open';
  }

  randomBytes(count: number): Buffer {
    return this.#server.random.bytes(count);
  }

  // ---- bytes in -----------------------------------------------------------------------------

  data(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#heartbeat?.heard();
    if (this.#state === 'header') {
      const rest = this.#readGreeting(chunk);
      if (rest === null) return;
      chunk = rest;
    }
    this.#read(() => this.#reader.push(chunk));
  }

  /** One stretch of reading; what it caused leaves with one write. */
  #read(read: () => void): void {
    if (this.#publishes && this.host.broker.busy) this.#waitForRoom();
    this.#reading = true;
    try {
      read();
    } catch (error) {
      this.#failFraming(error);
    } finally {
      this.#endOfChunk();
    }
  }

  #endOfChunk(): void {
    this.#reading = false;
    this.#wakeQueues();
    this.#flush();
    const full = this.#reader.held && this.#reader.waitingBytes > HELD_BYTES_MAX;
    if (full && !this.#socketPaused) {
      this.#socketPaused = true;
      this.socket.pause();
    }
  }

  /** Frames that came while the connection was held. */
  #goOn(): void {
    if (this.#state === 'closed') return;
    this.#read(() => this.#reader.release());
    if (this.#socketPaused && !this.#reader.held) {
      this.#socketPaused = false;
      this.socket.resume();
    }
  }

  /** [A1] @returns what follows the protocol header, null when it is not complete or not ours */
  #readGreeting(chunk: Buffer): Buffer | null {
    const size = PROTOCOL_HEADER.length;
    const all = this.#greeting.length === 0 ? chunk : Buffer.concat([this.#greeting, chunk]);
    const head = all.subarray(0, size);
    if (head.length < size && mayBecomeHeader(head)) {
      this.#greeting = head;
      return null;
    }
    if (!isProtocolHeader(head)) {
      this.#log.info('refused', { reason: foreignGreeting(all) });
      this.socket.write(PROTOCOL_HEADER);
      this.#state = 'closed';
      this.#timer?.cancel();
      this.socket.end();
      return null;
    }
    this.#greeting = EMPTY;
    this.#state = 'start';
    const { product, version, clusterName } = this.#server;
    this.send(0, 'connection.start', {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: serverProperties(product, version, clusterName),
      mechanisms: Buffer.from(MECHANISMS.join(' ')),
      locales: Buffer.from('en_US'),
    });
    this.#flush();
    return all.subarray(size);
  }

  #frame(type: number, number: number, buffer: Buffer, at: number, end: number): void {
    if (this.#state === 'closed') return;
    if (type === FRAME.heartbeat) return;
    if (number === 0) {
      if (type === FRAME.method) this.#connectionMethod(buffer, at, end);
      else if (this.#state !== 'closing') this.#unexpected('content on channel 0');
      return;
    }
    // [A11] After a close only its answer counts.
    if (this.#state === 'closing') return;
    if (this.#state !== 'open') {
      this.#unexpected('a channel frame before connection.open');
      return;
    }
    const channel = this.channels.get(number);
    this.#offender = NOBODY;
    try {
      if (channel === undefined) this.#openChannel(type, number, buffer, at, end);
      else this.#channelFrame(channel, type, buffer, at, end);
    } catch (error) {
      this.fail(channel ?? null, error);
    }
  }

  #channelFrame(channel: Channel, type: number, buffer: Buffer, at: number, end: number): void {
    if (type === FRAME.method) {
      const reader = this.#wire.over(buffer, at, end);
      const id = readMethodId(reader);
      this.#offender = { classId: id >>> 16, methodId: id & 0xffff };
      if (channel.closing) this.#closingMethod(channel, id);
      else if (id === PUBLISH) {
        channel.expectMethod();
        this.#publishes = true;
        channel.beginPublish(buffer, reader.at, end);
      } else {
        channel.expectMethod();
        this.#channelMethod(channel, readMethod(reader, id));
      }
      return;
    }
    if (channel.closing) return;
    this.#offender = PUBLISH_OFFENDER;
    if (type === FRAME.header) channel.header(buffer, at, end);
    else channel.body(buffer, at, end);
    if (this.host.broker.busy) this.#waitForRoom();
  }

  /** After our channel.close: the answer, or a close of the client's own that crossed it. */
  #closingMethod(channel: Channel, id: MethodId): void {
    if (id === methodNamed('channel.close-ok').id) this.channels.delete(channel.number);
    else if (id === methodNamed('channel.close').id) {
      this.channels.delete(channel.number);
      this.send(channel.number, 'channel.close-ok', {});
    }
  }

  #channelMethod(channel: Channel, method: Method): void {
    const { name } = method;
    if (this.outstanding.count > 0 && AFTER_PUBLISHES.has(name)) {
      this.#hold(
        channel,
        this.outstanding.settled().then(() => {
          if (!channel.closing) return this.#callMethod(channel, method);
        }),
      );
      return;
    }
    const done = this.#callMethod(channel, method);
    if (done !== undefined) this.#hold(channel, done);
  }

  #callMethod(channel: Channel, { name, fields }: Method): void | Promise<void> {
    if (name === 'channel.close') {
      channel.end();
      this.channels.delete(channel.number);
      this.send(channel.number, 'channel.close-ok', {});
      return;
    }
    if (name === 'channel.open') throw new AmqpError(504, "second 'channel.open' seen");
    const handler = methodHandlers[name] as
      | ((channel: Channel, fields: object) => void | Promise<void>)
      | undefined;
    // Answers that the client owes nobody here, such as flow-ok, and methods of the server's side.
    if (handler === undefined) {
      if (name.endsWith('-ok')) return;
      throw new AmqpError(503, `unexpected method ${name}`);
    }
    return handler(channel, fields);
  }

  /** Reads on when the work of a method is done, so that answers keep their order. */
  #hold(channel: Channel, work: Promise<void>): void {
    const offender = this.#offender;
    this.#reader.hold();
    work
      .catch((error: unknown) => {
        this.#offender = offender;
        if (!channel.closing) this.fail(channel, error);
      })
      .then(() => this.#goOn());
  }

  #openChannel(type: number, number: number, buffer: Buffer, at: number, end: number): void {
    const reader = this.#wire.over(buffer, at, end);
    const id = type === FRAME.method ? readMethodId(reader) : 0;
    this.#offender = { classId: id >>> 16, methodId: id & 0xffff };
    if (number > this.#tuning.channelMax) {
      throw new AmqpError(
        530,
        `number of channels opened (${this.channels.size}) has reached the negotiated ` +
          `channel_max (${this.#tuning.channelMax})`,
      );
    }
    if (id === methodNamed('channel.close-ok').id) return;
    // A close that crossed ours, for a channel that is gone already.
    if (id === methodNamed('channel.close').id) {
      this.send(number, 'channel.close-ok', {});
      return;
    }
    if (id !== methodNamed('channel.open').id) {
      throw new AmqpError(504, "expected 'channel.open'");
    }
    readMethod(reader, id);
    this.channels.set(number, new Channel(number, this));
    this.send(number, 'channel.open-ok', { channelId: EMPTY });
  }

  // ---- channel 0 ----------------------------------------------------------------------------

  #connectionMethod(buffer: Buffer, at: number, end: number): void {
    const reader = this.#wire.over(buffer, at, end);
    let offender = NOBODY;
    try {
      const id = readMethodId(reader);
      offender = { classId: id >>> 16, methodId: id & 0xffff };
      if (this.#state === 'closing') {
        this.#whileClosing(id);
        return;
      }
      const method = readMethod(reader, id);
      if (method.name === 'connection.close') this.#closedByClient();
      else this.#negotiate(method, offender);
    } catch (error) {
      this.#failConnection(error, offender);
    }
  }

  #whileClosing(id: MethodId): void {
    if (id === methodNamed('connection.close-ok').id) this.#end();
    else if (id === methodNamed('connection.close').id) {
      this.send(0, 'connection.close-ok', {});
      this.#end();
    }
  }

  #negotiate({ name, fields }: Method, offender: Offender): void {
    if (this.#state === 'start' && name === 'connection.start-ok') {
      const startOk = fields as Fields<'connection.start-ok'>;
      this.#reader.hold();
      this.#login(startOk)
        .catch((error: unknown) => this.#failLogin(error, startOk.mechanism, offender))
        .then(() => this.#goOn());
    } else if (this.#state === 'tune' && name === 'connection.tune-ok') {
      this.#tune(fields as Fields<'connection.tune-ok'>);
    } else if (this.#state === 'opening' && name === 'connection.open') {
      this.#openVirtualHost((fields as Fields<'connection.open'>).virtualHost);
    } else if (this.#state === 'open' && name === 'connection.update-secret') {
      // Nothing here expires with a token; the client is told that all is well.
      this.send(0, 'connection.update-secret-ok', {});
    } else {
      throw new AmqpError(503, `unexpected method ${name} in state ${this.#state}`);
    }
  }

  async #login({ clientProperties, mechanism, response }: Fields<'connection.start-ok'>) {
    this.client = clientFacts(clientProperties);
    const { user, password } = readLogin(mechanism, response);
    const { broker } = this.host;
    const { loopback } = this.socket.peer;
    const customary = user === 'guest' && password === 'guest';
    this.principal = customary
      ? broker.anonymous({ loopback })
      : await broker.authenticate({ user, password, loopback });
    this.userName = user;
    if (this.#state !== 'start') return;
    this.#state = 'tune';
    const { channelMax, frameMax, heartbeatMs } = this.#tuning;
    this.send(0, 'connection.tune', { channelMax, frameMax, heartbeat: heartbeatMs / 1000 });
  }

  /** [A6] A client that can hear it is told; for others the socket closes, as RabbitMQ does. */
  #failLogin(error: unknown, mechanism: string, offender: Offender): void {
    const known = error instanceof BrokerError || error instanceof AmqpError;
    if (!known || error instanceof ProtocolError) {
      this.#failConnection(error, offender);
      return;
    }
    this.#log.warn('login refused', { reason: error.message });
    if (this.client.failureClose) this.#failConnection(loginRefused(mechanism), NOBODY);
    else {
      this.#state = 'closed';
      this.#timer?.cancel();
      this.socket.end();
    }
  }

  #tune(fields: Fields<'connection.tune-ok'>): void {
    this.#tuning = tuned(this.#tuning, fields);
    this.frameMax = this.#tuning.frameMax;
    this.#reader.frameMax = this.#tuning.frameMax;
    this.#state = 'opening';
    const { heartbeatMs } = this.#tuning;
    if (heartbeatMs === 0) return;
    this.#heartbeat = new Heartbeat(
      this.#server.timers,
      heartbeatMs,
      () => {
        this.output.frame(FRAME.heartbeat, 0, EMPTY, 0, 0);
        this.#flush();
      },
      () => this.#abort(`missed heartbeats from client, timeout: ${heartbeatMs / 1000}s`),
    );
  }

  #openVirtualHost(name: string): void {
    // [A10] An empty name is what some tools send for the default one.
    if (name !== '/' && name !== '') throw new AmqpError(530, `vhost ${name} not found`);
    this.#state = 'open';
    this.#timer?.cancel();
    this.#timer = null;
    this.send(0, 'connection.open-ok', { knownHosts: '' });
    this.#log.debug('open', { user: this.userName, client: this.client.name });
    this.tellHealth();
  }

  // ---- bytes out and back-pressure ----------------------------------------------------------

  send<Name extends MethodName>(channel: number, name: Name, fields: Fields<Name>): void {
    if (this.#state === 'closed') return;
    writeMethod(this.output, channel, name, fields);
    this.wake();
  }

  wake(): void {
    if (this.#flushAsked || this.#reading) return;
    this.#flushAsked = true;
    this.#server.timers.soon(this.#flushNow);
  }

  wakeQueue(queue: AmqpQueue): void {
    this.#queuesToWake.add(queue);
    this.wake();
  }

  confirmsDue(channel: Channel): void {
    this.#confirming.add(channel);
    this.wake();
  }

  #wakeQueues(): void {
    if (this.#queuesToWake.size === 0) return;
    const queues = [...this.#queuesToWake];
    this.#queuesToWake.clear();
    for (const queue of queues) if (!queue.ended) queue.readers.wake();
  }

  #flush(): void {
    this.#wakeQueues();
    if (this.#confirming.size > 0) {
      for (const channel of this.#confirming) channel.flushConfirms();
      this.#confirming.clear();
    }
    if (this.output.waiting) this.output.flush();
  }

  /** The socket took everything: consumers of this connection may get more. */
  drain(): void {
    this.#congested = false;
    for (const channel of this.channels.values()) {
      for (const { queue } of channel.readers.values()) this.wakeQueue(queue);
    }
  }

  /** [A12] */
  tellHealth(): void {
    if (this.#state !== 'open' || !this.client.blockedNotice) return;
    const blocked = this.host.broker.health !== 'ok';
    if (blocked === this.#blockedTold) return;
    this.#blockedTold = blocked;
    if (blocked) this.send(0, 'connection.blocked', { reason: this.#server.healthReason });
    else this.send(0, 'connection.unblocked', {});
  }

  #waitForRoom(): void {
    if (this.#reader.held) return;
    this.#reader.hold();
    this.host.broker.onRoom(() => this.#goOn());
  }

  assembling(bytes: number): void {
    this.#assemblingBytes += bytes;
    if (bytes > 0 && this.#assemblingBytes > ASSEMBLING_BYTES_MAX) {
      throw new AmqpError(
        506,
        `more than ${ASSEMBLING_BYTES_MAX} bytes of unfinished messages on one connection`,
      );
    }
  }

  // ---- errors and closing -------------------------------------------------------------------

  fail(channel: Channel | null, error: unknown): void {
    const failure = this.#described(error);
    if (failure.hard || channel === null) {
      this.#failConnection(failure, this.#offender);
      return;
    }
    this.#log.info('channel closed', { channel: channel.number, reason: failure.message });
    channel.end();
    this.send(channel.number, 'channel.close', {
      replyCode: failure.replyCode,
      replyText: failure.message,
      ...this.#offender,
    });
  }

  /** Errors of the world as this protocol tells them; a mistake of ours is 541, and loud in the log. */
  #described(error: unknown): AmqpError {
    if (error instanceof AmqpError) return error;
    if (error instanceof ProtocolError) {
      const { field, at, message, wireCode } = error;
      this.#log.info('malformed input', { field, at, reason: message });
      return new AmqpError(
        (wireCode ?? 502) as ReplyCode,
        `${field} at byte ${at} is not valid`,
        true,
      );
    }
    if (error instanceof BrokerError) return amqpError(error);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error('internal error', { stack });
    return new AmqpError(541, 'internal error', true);
  }

  #failConnection(error: unknown, { classId, methodId }: Offender): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const { replyCode, message } = this.#described(error);
    this.#log.info('connection closed', { reason: message });
    this.#endChannels();
    this.send(0, 'connection.close', { replyCode, replyText: message, classId, methodId });
    this.#state = 'closing';
    this.#timer?.cancel();
    this.#timer = this.#server.timers.after(CLOSE_TIMEOUT_MS, () => {
      this.#abort('no answer to connection.close');
    });
  }

  /** The stream of frames is lost: nothing that follows can be read, not even an answer. */
  #failFraming(error: unknown): void {
    const ended = this.#state === 'closing';
    this.#failConnection(error, NOBODY);
    if (ended) this.#abort('broken frames after connection.close');
    else this.#end();
  }

  #unexpected(what: string): void {
    this.#failConnection(new AmqpError(505, `${what} is not expected`), NOBODY);
  }

  #closedByClient(): void {
    if (this.outstanding.count > 0) {
      this.#reader.hold();
      this.outstanding.settled().then(() => this.#closedByClient());
      return;
    }
    // Exclusive queues are gone when the client reads the answer [A72].
    this.#endChannels();
    this.send(0, 'connection.close-ok', {});
    this.#end();
  }

  /** The server stops: the client is told and has its time to answer. */
  shutdown(): void {
    if (this.#state === 'open') {
      const stop = new AmqpError(320, "broker forced connection closure with reason 'shutdown'");
      this.#flush();
      this.#failConnection(stop, NOBODY);
      this.#flush();
    } else this.#abort('shutdown');
  }

  #endChannels(): void {
    // Acknowledgements that are due leave before the close.
    for (const channel of this.channels.values()) channel.flushConfirms();
    for (const channel of this.channels.values()) channel.end();
    this.channels.clear();
    this.host.endOwned(this);
  }

  #end(): void {
    this.#flush();
    this.#state = 'closed';
    this.#timer?.cancel();
    this.socket.end();
  }

  #abort(reason: string): void {
    this.#log.info('connection aborted', { reason });
    this.socket.destroy(reason);
  }

  closed(): void {
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#heartbeat?.end();
    this.#endChannels();
    this.#queuesToWake.clear();
    this.#server.gone(this);
  }
}

const PUBLISH_OFFENDER: Offender = { classId: PUBLISH >>> 16, methodId: PUBLISH & 0xffff };
