/**
 * One client: its life from the protocol header to the close, its channels, its back-pressure.
 * Frames are taken apart by `frame-reader.ts`; what methods do is in `handlers/`.
 */
import type { Principal, PublishToll, TollPayer } from '#broker';
import type { Connection, ConnectionHandler, Eviction } from '#contract';
import type { Log, Timer } from '#kit';
import { Channel, type ChannelHost } from './channel.ts';
import { AmqpError } from './errors.ts';
import { failureOf } from './failure.ts';
import { FRAME, FrameReader } from './frame-reader.ts';
import { callMethod } from './handlers/index.ts';
import { Handshake, type HandshakeHost, type Identity } from './handshake.ts';
import { Heartbeat } from './heartbeat.ts';
import {
  type Fields,
  idsOf,
  type Method,
  type MethodId,
  type MethodName,
  methodNamed,
  readMethod,
  readMethodId,
  writeMethod,
} from './methods.ts';
import type { ClientFacts, Tuning } from './negotiation.ts';
import { Outbound } from './outbound.ts';
import { AFTER_PUBLISHES, Outstanding } from './outstanding.ts';
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

type State = 'handshake' | 'open' | 'closing' | 'closed';

/** An error that is about no method. */
const NO_METHOD: MethodId = 0;

export class AmqpConnection implements ConnectionHandler, ChannelHost, HandshakeHost, TollPayer {
  readonly socket: Connection;
  readonly outbound: Outbound;
  readonly outstanding = new Outstanding();
  readonly channels = new Map<number, Channel>();
  /** Null until the client has logged in. */
  principal: Principal | null = null;
  userName = '';
  messagesIn = 0;
  /** What its user owes for what came, and what it has not paid for yet. */
  toll: PublishToll | null = null;
  unpaidBytes = 0;
  frameMax: number;
  readonly messageBytesMax: number;
  readonly server: AmqpServer;
  readonly #handshake: Handshake;
  readonly #log: Log;
  readonly #reader: FrameReader;
  readonly #wire = new WireReader();
  #tuning: Tuning;
  #state: State = 'handshake';
  #heartbeat: Heartbeat | null = null;
  #timer: Timer | null = null;
  #blockedTold = false;
  #socketPaused = false;
  #assemblingBytes = 0;
  #publishes = false;
  /** The method that an error would be about. */
  #offender = NO_METHOD;

  constructor(socket: Connection, server: AmqpServer) {
    this.socket = socket;
    this.server = server;
    this.#log = server.log.with({ connection: socket.id, peer: socket.peer.address });
    this.#tuning = server.tuning;
    this.frameMax = server.tuning.frameMax;
    this.messageBytesMax = server.messageBytesMax;
    this.outbound = new Outbound(socket, server.timers, () => this.#heartbeat?.sent());
    this.#reader = new FrameReader(this.frameMax, (type, channel, buffer, at, end) =>
      this.#frame(type, channel, buffer, at, end),
    );
    this.#handshake = new Handshake(this);
    this.#timer = server.timers.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.#abort('handshake timeout');
    });
  }

  get host() {
    return this.server.host;
  }

  get client(): ClientFacts {
    return this.#handshake.client;
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
    return !this.outbound.congested && this.#state === 'open';
  }

  randomBytes(count: number): Buffer {
    return this.server.random.bytes(count);
  }

  // ---- bytes in -----------------------------------------------------------------------------

  data(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    this.#heartbeat?.heard();
    if (this.#handshake.step === 'header') {
      const rest = this.#handshake.greet(chunk);
      if (rest === null) return;
      chunk = rest;
    }
    if (!this.#reader.held) this.#waitsForRoom();
    this.#read(() => this.#reader.push(chunk));
  }

  /** One stretch of reading; what it caused leaves with one write. */
  #read(read: () => void): void {
    this.outbound.readingBegins();
    try {
      read();
    } catch (error) {
      this.#failFraming(error);
    } finally {
      this.#endOfChunk();
    }
  }

  #endOfChunk(): void {
    this.outbound.readingEnds();
    if (this.unpaidBytes > 0) this.server.collect(this);
    this.#updatePause();
  }

  tollChanged(): void {
    if (this.#heartbeat !== null) this.#heartbeat.muted = this.toll?.owes === true;
    this.#updatePause();
  }

  /** Paused while too much waits for a held reader, until it is released; and while it owes. */
  #updatePause(): void {
    const { held, waitingBytes } = this.#reader;
    const full = held && (this.#socketPaused || waitingBytes > HELD_BYTES_MAX);
    // The answer to our close is waited for.
    const paused = full || (this.toll?.owes === true && this.#state !== 'closing');
    if (paused === this.#socketPaused || this.#state === 'closed') return;
    this.#socketPaused = paused;
    if (paused) this.socket.pause();
    else this.socket.resume();
  }

  /** Frames that came while the connection was held. */
  #goOn(): void {
    if (this.#state === 'closed' || this.#waitsForRoom()) return;
    this.#read(() => this.#reader.release());
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
    this.#offender = NO_METHOD;
    try {
      if (channel === undefined) this.#openChannel(type, number, buffer, at, end);
      else this.#channelFrame(channel, type, buffer, at, end);
    } catch (error) {
      this.#fail(channel ?? null, error);
    }
  }

  #channelFrame(channel: Channel, type: number, buffer: Buffer, at: number, end: number): void {
    if (type === FRAME.method) {
      const reader = this.#wire.over(buffer, at, end);
      const id = readMethodId(reader);
      this.#offender = id;
      if (channel.closing) this.#closingMethod(channel, id);
      else if (id === PUBLISH) {
        channel.expectMethod();
        this.#publishes = true;
        this.messagesIn++;
        channel.beginPublish(buffer, reader.at, end);
        // Before its content is read: what comes with a later chunk asks when that is read.
        this.#waitsForRoom();
      } else {
        channel.expectMethod();
        this.#channelMethod(channel, readMethod(reader, id));
      }
      return;
    }
    if (channel.closing) return;
    this.#offender = PUBLISH;
    if (type === FRAME.header) channel.header(buffer, at, end);
    else channel.body(buffer, at, end);
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
      const call = this.outstanding.settled().then(async () => {
        if (!channel.closing) await this.#callMethod(channel, method);
      });
      this.hold(call, channel);
      return;
    }
    const done = this.#callMethod(channel, method);
    if (done !== undefined) this.hold(done, channel);
  }

  #callMethod(channel: Channel, method: Method): void | Promise<void> {
    if (method.name !== 'channel.close') return callMethod(channel, method);
    channel.end();
    this.channels.delete(channel.number);
    this.send(channel.number, 'channel.close-ok', {});
  }

  /** Reads on when the work of a method is done, so that answers keep their order. */
  hold(work: Promise<void>, channel: Channel | null = null): void {
    const offender = this.#offender;
    this.#reader.hold();
    work
      .catch((error: unknown) => {
        this.#offender = offender;
        if (channel?.closing !== true) this.#fail(channel, error);
      })
      .then(() => this.#goOn());
  }

  #openChannel(type: number, number: number, buffer: Buffer, at: number, end: number): void {
    const reader = this.#wire.over(buffer, at, end);
    const id = type === FRAME.method ? readMethodId(reader) : 0;
    this.#offender = id;
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
    let offender = NO_METHOD;
    try {
      const id = readMethodId(reader);
      offender = id;
      if (this.#state === 'closing') {
        this.#whileClosing(id);
        return;
      }
      const method = readMethod(reader, id);
      if (method.name === 'connection.close') this.#closedByClient();
      else if (method.name === 'connection.update-secret' && this.#state === 'open') {
        // Nothing here expires with a token; the client is told that all is well.
        this.send(0, 'connection.update-secret-ok', {});
      } else this.#handshake.method(method);
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

  // ---- what the handshake tells -------------------------------------------------------------

  identified({ principal, userName }: Identity): void {
    this.principal = principal;
    this.userName = userName;
  }

  tuned(tuning: Tuning): void {
    this.#tuning = tuning;
    this.frameMax = tuning.frameMax;
    this.#reader.frameMax = tuning.frameMax;
    const { heartbeatMs } = tuning;
    if (heartbeatMs === 0) return;
    this.#heartbeat = new Heartbeat(
      this.server.timers,
      heartbeatMs,
      () => this.outbound.beat(),
      () => this.#abort(`missed heartbeats from client, timeout: ${heartbeatMs / 1000}s`),
    );
  }

  opened(): void {
    this.#state = 'open';
    this.#timer?.cancel();
    this.#timer = null;
    this.#log.debug('open', { user: this.userName, client: this.clientName });
    this.tellHealth();
  }

  hangUp(reason: string): void {
    this.#log.info('refused', { reason });
    this.#end();
  }

  // ---- bytes out and back-pressure ----------------------------------------------------------

  send<Name extends MethodName>(channel: number, name: Name, fields: Fields<Name>): void {
    if (this.#state === 'closed') return;
    writeMethod(this.outbound.output, channel, name, fields);
    this.outbound.wake();
  }

  /** The socket took everything: consumers of this connection may get more. */
  drain(): void {
    this.outbound.congested = false;
    for (const channel of this.channels.values()) {
      for (const reader of channel.readers.values()) this.outbound.wakeReader(reader);
    }
  }

  /** [A12] */
  tellHealth(): void {
    if (this.#state !== 'open' || !this.client.blockedNotice) return;
    const blocked = this.host.broker.health !== 'ok';
    if (blocked === this.#blockedTold) return;
    this.#blockedTold = blocked;
    if (blocked) this.send(0, 'connection.blocked', { reason: this.server.healthReason });
    else this.send(0, 'connection.unblocked', {});
  }

  /** True when nothing more is read until there is room, which others may take first. */
  #waitsForRoom(): boolean {
    if (!this.#publishes || !this.host.broker.busy) return false;
    this.#reader.hold();
    this.host.broker.onRoom(() => this.#goOn());
    return true;
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

  #fail(channel: Channel | null, error: unknown): void {
    const failure = failureOf(error, this.#log);
    if (failure.hard || channel === null) {
      this.#failConnection(failure, this.#offender);
      return;
    }
    this.#log.info('channel closed', { channel: channel.number, reason: failure.message });
    channel.end();
    this.send(channel.number, 'channel.close', {
      replyCode: failure.replyCode,
      replyText: failure.message,
      ...idsOf(this.#offender),
    });
  }

  #failConnection(error: unknown, offender: MethodId): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const { replyCode, message } = failureOf(error, this.#log);
    this.#log.info('connection closed', { reason: message });
    this.#endChannels();
    this.send(0, 'connection.close', { replyCode, replyText: message, ...idsOf(offender) });
    this.#state = 'closing';
    this.#updatePause();
    this.#timer?.cancel();
    this.#timer = this.server.timers.after(CLOSE_TIMEOUT_MS, () => {
      this.#abort('no answer to connection.close');
    });
  }

  /** The stream of frames is lost: nothing that follows can be read, not even an answer. */
  #failFraming(error: unknown): void {
    const ended = this.#state === 'closing';
    this.#failConnection(error, NO_METHOD);
    if (ended) this.#abort('broken frames after connection.close');
    else this.#end();
  }

  #unexpected(what: string): void {
    this.#failConnection(new AmqpError(505, `${what} is not expected`), NO_METHOD);
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
  evict({ text }: Eviction): void {
    this.shutdown(text);
  }

  shutdown(reason = 'shutdown'): void {
    if (this.#state === 'open') {
      const stop = new AmqpError(320, `broker forced connection closure with reason '${reason}'`);
      this.outbound.flush();
      this.#failConnection(stop, NO_METHOD);
      this.outbound.flush();
    } else this.#abort(reason);
  }

  #endChannels(): void {
    // Acknowledgements that are due leave before the close.
    for (const channel of this.channels.values()) channel.flushConfirms();
    for (const channel of this.channels.values()) channel.end();
    this.channels.clear();
    this.host.endOwned(this);
  }

  #end(): void {
    this.outbound.flush();
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
    this.toll?.end();
    this.#endChannels();
    this.outbound.end();
    this.server.gone(this);
  }
}
