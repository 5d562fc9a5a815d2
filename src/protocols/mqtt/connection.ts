/**
 * One connection's life: bytes in, packets to handlers, packets out, and its end. What outlives
 * it is in the session.
 */
import { type Message, type PublishToll, payToll, type TollPayer } from '#broker';
import type { Connection, ConnectionHandler, Eviction, SideStream } from '#contract';
import { BrokerError, type Timer } from '#kit';
import {
  CONNACK,
  CONNECT,
  checkHeader,
  encodeConnack,
  encodeDisconnect,
  Framer,
  NO_PROPERTIES,
  type PacketReader,
  type Properties,
  packetName,
  protocolError,
  REASON,
  reasonSentence,
  type Version,
} from './codec/index.ts';
import { type EnhancedLogin, prove } from './enhanced-login.ts';
import { reasonOf } from './errors.ts';
import { evict } from './eviction.ts';
import { connect, refuseBroken } from './handlers/connect.ts';
import { HANDLERS } from './handlers/index.ts';
import type { Inbound } from './inbound.ts';
import { type Lane, mayUseLane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { encodeMounted, encodeWithAlias } from './link-encoding.ts';
import { fits } from './message.ts';
import type { Mount } from './mount.ts';
import type { MqttOptions } from './options.ts';
import { Output } from './output.ts';
import type { Room } from './room.ts';
import type { Session } from './session.ts';
import type { AliasesOut, Routes } from './topic-aliases.ts';

/**
 * `waiting` for CONNECT; `proving` while AUTH packets go to and fro before CONNACK; `connecting`
 * while the password is checked and the session is written; `open` after CONNACK; `leaving` when
 * our last packet is written; `closed`.
 */
export type LinkState = 'waiting' | 'proving' | 'connecting' | 'open' | 'leaving' | 'closed';

export class Link implements ConnectionHandler, TollPayer {
  readonly room: Room;
  readonly connection: Connection;
  readonly output: Output;
  /** What holds on its listener. */
  readonly options: MqttOptions;
  /** What stands before its topics; known from CONNACK on. */
  mount: Mount | null = null;
  readonly #framer = new Framer();
  state: LinkState = 'waiting';
  version: Version = 4;
  clientId = '';
  session: Session | null = null;
  /** Why its CONNECT will be refused; null when it may come in. */
  unwelcome: Eviction | null = null;
  /** The method that CONNECT named, and the exchange that is under way. */
  login: EnhancedLogin | null = null;
  bridge = false;
  /** PUBLISH packets so far. */
  messagesIn = 0;
  /** What its user owes for them, and what it has not paid for yet. */
  toll: PublishToll | null = null;
  unpaidBytes = 0;
  /** Largest packet that the client takes. */
  packetBytesMax = Number.POSITIVE_INFINITY;
  /** QoS 1 and 2 messages that may be under way to the client. */
  window = 0;
  problemInformation = true;
  /** Expiry that CONNECT asked for: DISCONNECT may not raise it from zero. */
  connectExpirySec = 0;
  keepAliveSec = 0;
  /** When CONNECT had come, on the monotonic clock. */
  connectMs = 0;
  /** Reason code of its end; -1 while it has none, and when the network failed. */
  endReason = -1;
  /** Acknowledgements for what the client publishes; made with its first QoS 1 or 2 message. */
  inbound: Inbound | null = null;
  /** Topic names it published to: the last one, and its aliases. */
  routes: Routes | null = null;
  aliases: AliasesOut | null = null;
  /** Streams beside the first one, where the client opened some. */
  lanes: Lanes | null = null;
  /** The one whose packet is being handled; null for the first stream. */
  lane: Lane | null = null;
  /** An acknowledgement came: there may be room for more. */
  progressed = false;
  #lastPacketMs: number;
  #timer: Timer | null;
  /** Nothing is read: the log is full of bytes on their way, or our answers are not taken. */
  #stalled = false;
  #choked = false;
  #paused = false;

  constructor(room: Room, connection: Connection) {
    this.room = room;
    this.connection = connection;
    this.options = room.optionsOn(connection.listener);
    this.output = new Output(connection, room.flusher);
    this.#lastPacketMs = room.monotonicMs();
    this.#timer = room.timers.after(this.options.connectTimeout, () => {
      if (this.state === 'waiting') this.cut('no CONNECT in time');
      else if (this.state === 'proving') this.refuse(REASON.notAuthorized, 'no proof in time');
    });
  }

  /** Messages may be sent. */
  get delivering(): boolean {
    return this.state === 'open';
  }

  /**
   * The socket has room for messages; packets of one that is allowed may go over it. A connection
   * that does not ask to wait would not call back either, so it has room whatever it holds.
   */
  get hasRoom(): boolean {
    return !this.isFull && (this.lanes === null || this.lanes.hasRoom);
  }

  /** The same for the first stream alone. */
  get isFull(): boolean {
    return this.output.full && this.output.pendingBytes >= this.options.sendBytesMax;
  }

  /** Where the answer to the packet in hand goes. */
  get answers(): Output {
    return this.lane === null ? this.output : this.lane.output;
  }

  /** Where the rest of the handshake of a message goes. */
  outputOf(packetId: number): Output {
    return this.lanes?.outputOf(packetId) ?? this.output;
  }

  // ---- reading ------------------------------------------------------------------------------

  data(chunk: Buffer): void {
    if (this.state === 'leaving' || this.state === 'closed') return;
    this.#framer.push(chunk);
    // [MQTT-3.1.0-1]: no answer to who does not begin with CONNECT, and no waiting for the rest.
    if (this.state === 'waiting' && this.#framer.firstByte !== CONNECT << 4) {
      if (this.#framer.firstByte >= 0) this.cut('the first packet is not CONNECT');
      return;
    }
    this.readFrom(this.#framer, null);
  }

  stream(stream: SideStream): void {
    this.lanes ??= new Lanes(this);
    this.lanes.add(stream);
  }

  get #listens(): boolean {
    return this.state === 'open' || this.state === 'waiting' || this.state === 'proving';
  }

  /** Handles all whole packets of a stream that may be handled now. */
  readFrom(framer: Framer, lane: Lane | null): void {
    const { options, lane: outer } = this;
    const { reader } = this.room;
    let framed = false;
    let handled = 0;
    this.lane = lane;
    try {
      while (this.#listens && !this.#stalled) {
        framed = false;
        if (!framer.next(reader, options.packetBytesMax)) break;
        framed = true;
        if (!this.#handle(reader)) break;
        framer.consume();
        handled++;
      }
    } catch (error) {
      this.#failed(error, framed);
      return;
    } finally {
      this.lane = outer;
    }
    if (handled > 0) {
      this.#lastPacketMs = this.room.monotonicMs();
      this.room.metrics.packetsReceived.add(handled);
    }
    if (this.progressed) {
      this.progressed = false;
      this.wake();
    }
    if (this.output.full && this.output.pendingBytes > options.sendBytesMax * 2) {
      this.holdReading();
    }
    if (this.unpaidBytes > 0) this.#pay();
  }

  #pay(): void {
    const { room, session } = this;
    if (session === null) return;
    payToll(this, room.broker.quotas, room.timers, session.principal.name, this.clientId);
  }

  /** @returns false when the packet must wait: it is met again when reading goes on */
  #handle(reader: PacketReader): boolean {
    if (this.state === 'waiting') {
      this.connectMs = this.room.monotonicMs();
      connect(this, reader);
      return true;
    }
    checkHeader(reader, this.version);
    if (this.state === 'proving') return prove(this, reader);
    if (this.lane !== null && !mayUseLane(reader.type)) {
      throw protocolError('packet type', 0, 'belongs on the first stream');
    }
    return HANDLERS[reader.type]!(this, reader);
  }

  /** Reading waits until the broker has room. */
  stall(): void {
    if (this.#stalled) return;
    this.hold();
    this.room.broker.onRoom(() => {
      // Not inside somebody's publish: the shared reader may be in use there.
      this.room.timers.soon(() => this.goOn());
    });
  }

  /** Reading waits for `goOn`. */
  hold(): void {
    this.#stalled = true;
    this.#updatePause();
  }

  goOn(): void {
    this.#stalled = false;
    this.#updatePause();
    this.readOn();
  }

  /** Goes on with what was read before. */
  readOn(): void {
    this.#lastPacketMs = this.room.monotonicMs();
    if (this.state !== 'open') return;
    this.readFrom(this.#framer, null);
    this.lanes?.readOn();
  }

  /** Reading waits until the client has taken our answers (M161). */
  holdReading(): void {
    this.#choked = true;
    this.#updatePause();
  }

  releaseReading(): void {
    this.#choked = false;
    this.#updatePause();
  }

  #updatePause(): void {
    const paused = this.#stalled || this.#choked || this.toll?.owes === true;
    if (paused === this.#paused || this.state === 'closed') return;
    if (paused && this.state === 'leaving') return;
    this.#paused = paused;
    if (paused) this.connection.pause();
    else {
      this.#lastPacketMs = this.room.monotonicMs();
      this.connection.resume();
    }
  }

  tollChanged(): void {
    this.#updatePause();
  }

  drain(): void {
    this.output.full = false;
    if (this.state !== 'open') return;
    if (this.#choked) this.releaseReading();
    this.wake();
  }

  /** There is room for messages again. */
  wake(): void {
    this.session?.outbound?.wake();
    this.session?.runReplays();
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** Names lead to other places now. */
  forgetRoutes(): void {
    this.routes?.forget();
    this.lanes?.forgetRoutes();
  }

  /** @param framed the fault is in a whole packet, which the reader holds */
  #failed(error: unknown, framed: boolean): void {
    if (!(error instanceof BrokerError)) {
      this.room.log.error('a connection ended by a fault of ours', {
        client: this.clientId,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      this.leave(REASON.unspecifiedError, '');
      throw error;
    }
    this.room.metrics.malformed.add();
    this.room.log.info('closed for a protocol error', {
      client: this.clientId,
      peer: this.connection.peer.address,
      reason: error.message,
    });
    if (this.state === 'waiting' && !framed) this.cut(error.message);
    else if (this.state === 'waiting') refuseBroken(this, error);
    else if (this.state === 'proving') this.refuse(reasonOf(error), error.message);
    else this.leave(reasonOf(error), error.message);
  }

  // ---- writing ------------------------------------------------------------------------------

  /** CONNACK with a refusal, and the end. Nothing of the session was touched [MQTT-3.1.4-2]. */
  refuse(reason: number, detail: string): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    const properties = this.withReason(CONNACK, detail, NO_PROPERTIES);
    this.output.append(encodeConnack({ sessionPresent: false, reason, properties }, this.version));
    this.finish();
  }

  /**
   * Adds a reason string where it helps: when the client asked for no less and it fits into its
   * largest packet [MQTT-3.1.2-29] [MQTT-3.14.2-3].
   */
  withReason(type: number, detail: string, properties: Properties): Properties {
    if (this.version !== 5 || detail === '') return properties;
    const always = type === CONNACK || packetName(type) === 'DISCONNECT';
    if (!always && !this.problemInformation) return properties;
    const reasonString = detail.slice(0, 256);
    // The other fields of these packets take less than 64 bytes.
    if (Buffer.byteLength(reasonString) + 64 > this.packetBytesMax) return properties;
    return { ...properties, reasonString };
  }

  /**
   * Ends the connection from our side: DISCONNECT with the reason in version 5 [MQTT-4.13.1-1],
   * the close alone in 3.x. The session sees the end at once, and its will with it.
   */
  leave(reason: number, detail: string): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    const open = this.state === 'open';
    this.endReason = reason;
    if (open && this.version === 5) {
      const text = detail === '' ? reasonSentence(reason) : detail;
      const properties = this.withReason(14, text, NO_PROPERTIES);
      this.output.append(encodeDisconnect({ reason, properties }, 5));
    }
    this.finish();
    this.detach(true);
  }

  /** The server wants it to leave, whatever the reason. */
  evict(eviction: Eviction): void {
    evict(this, eviction);
  }

  /** Sends what is written and closes: also after the client's own DISCONNECT. */
  finish(): void {
    this.state = 'leaving';
    this.#stopTimer();
    this.#framer.clear();
    this.output.flush();
    this.lanes?.flush();
    this.connection.end();
  }

  /** Closes now. */
  cut(reason: string): void {
    if (this.state === 'closed') return;
    this.state = 'leaving';
    this.#stopTimer();
    this.connection.destroy(reason);
  }

  closed(error: Error | null): void {
    this.state = 'closed';
    this.#stopTimer();
    this.#framer.clear();
    this.output.discard();
    this.lanes?.close();
    if (error !== null && this.clientId !== '') {
      this.room.log.debug('connection lost', { client: this.clientId, reason: error.message });
    }
    this.detach(true);
    this.toll?.end();
    this.room.gone(this);
  }

  /** The session lives on without this connection. */
  detach(will: boolean): void {
    const { session } = this;
    // The last messages count as well, though there is nobody left to wait.
    if (this.unpaidBytes > 0) this.#pay();
    this.session = null;
    if (session !== null && session.link === this) this.room.sessions.disconnected(session, will);
  }

  // ---- messages to the client -----------------------------------------------------------------

  /**
   * Sends one message. @returns false when it can never be sent: larger than the client takes, or
   * a name that does not fit into a packet; it counts as delivered then [MQTT-3.1.2-25].
   */
  publish(
    message: Message,
    topic: string,
    qos: 0 | 1 | 2,
    retain: boolean,
    dup: boolean,
    packetId: number,
    ids: readonly number[] | null,
  ): boolean {
    const { room, mount } = this;
    const shown = mount === null ? topic : mount.shown(topic);
    // Of a session that was on another listener before: not a name that this client may see.
    if (shown === null) return false;
    if (!fits(shown)) return this.#tooLarge(message, topic);
    const nowMs = message.expiresAtMs === 0 ? 0 : room.nowMs();
    const lane = this.lanes === null ? null : this.lanes.of(topic);
    const encoded =
      mount !== null && message.replyTo !== ''
        ? encodeMounted(this, message, shown, qos, retain, ids, mount)
        : this.aliases === null || lane !== null
          ? room.packets.encode(message, shown, qos, retain, ids, this.version, nowMs)
          : encodeWithAlias(this, message, shown, qos, retain, ids);
    if (encoded === null || encoded.size > this.packetBytesMax) {
      return this.#tooLarge(message, topic);
    }
    (lane ?? this).output.publish(encoded, packetId, dup);
    if (lane !== null && qos > 0) this.lanes!.sent(packetId, lane);
    room.sent(this.session!, message, topic, qos, packetId);
    return true;
  }

  /** QoS 0: a client that does not read loses it (at most once), and that is counted. */
  publishLossy(
    message: Message,
    topic: string,
    retain: boolean,
    ids: readonly number[] | null,
  ): void {
    if (!(this.lanes === null ? this.hasRoom : this.lanes.takes(topic))) {
      this.room.dropped(this.session!, message, topic, 'slow-client');
      return;
    }
    if (message.expiresAtMs !== 0 && message.expired(this.room.nowMs())) {
      this.room.dropped(this.session!, message, topic, 'expired');
      return;
    }
    this.publish(message, topic, 0, retain, false, 0, ids);
  }

  #tooLarge(message: Message, topic: string): boolean {
    this.room.dropped(this.session!, message, topic, 'too-large');
    return false;
  }

  // ---- keep alive -----------------------------------------------------------------------------

  /** CONNECT was accepted: from now on silence of 1.5 times the keep alive ends it. */
  startKeepAlive(seconds: number): void {
    this.#stopTimer();
    this.keepAliveSec = seconds;
    if (seconds > 0) this.#armKeepAlive(seconds * 1500);
  }

  #armKeepAlive(delayMs: number): void {
    this.#timer = this.room.timers.after(delayMs, () => this.#checkKeepAlive());
  }

  #checkKeepAlive(): void {
    const limitMs = this.keepAliveSec * 1500;
    // While we do not read, silence is ours.
    const silentMs = this.#paused ? 0 : this.room.monotonicMs() - this.#lastPacketMs;
    if (silentMs < limitMs) this.#armKeepAlive(limitMs - silentMs);
    else this.leave(REASON.keepAliveTimeout, ''); // [MQTT-3.1.2-22]
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
