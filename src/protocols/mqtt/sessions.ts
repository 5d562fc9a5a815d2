/**
 * All sessions by client identifier: opening and resuming them at CONNECT, takeover, what happens
 * when a connection ends (will, expiry), and bringing them back at a start.
 */
import { type Pattern, type Principal, slashPattern, slashSpelling } from '#broker';
import { expectBrokerError } from '#kit';
import {
  type ConnectPacket,
  decodePublish,
  Framer,
  PacketReader,
  PublishPacket,
  REASON,
} from './codec/index.ts';
import { ColdSessions, type SessionView } from './cold-sessions.ts';
import { messageOf } from './message.ts';
import type { Room } from './room.ts';
import { SESSION_QUEUE_PREFIX, Session } from './session.ts';
import type { StoredSession, SubscriptionRecord } from './session-store.ts';
import { plainFilter } from './topics.ts';
import { storedWill, willMessage, willOf } from './will.ts';

/** Kind of the broker's time engine: when sessions end, by client. */
const SESSION_END = 'mqtt.session';
const NOTHING: Buffer = Buffer.alloc(0);

export interface Opened {
  readonly session: Session;
  /** Stored state was resumed [MQTT-3.2.2-2]. */
  readonly present: boolean;
}

export class Sessions {
  readonly #room: Room;
  /** Those in memory. */
  readonly #byClient = new Map<string, Session>();
  readonly #cold: ColdSessions;

  constructor(room: Room) {
    this.#room = room;
    this.#cold = new ColdSessions(room, (session) => this.#byClient.delete(session.clientId));
  }

  get count(): number {
    return this.#byClient.size + this.#cold.count;
  }

  /** Sessions in memory. */
  get warmCount(): number {
    return this.#byClient.size;
  }

  /** Those with a client, and those whose client went a moment ago. */
  warm(): Iterable<Session> {
    return this.#byClient.values();
  }

  *list(): Generator<SessionView> {
    yield* this.#byClient.values();
    yield* this.#cold.list();
  }

  /** The session of a client; it is in memory from here on. */
  get(clientId: string): Session | undefined {
    const known = this.#byClient.get(clientId);
    if (known !== undefined) return known;
    const taken = this.#cold.take(clientId);
    if (taken === null) return undefined;
    const session = this.#restore(taken.stored, this.#room.nowMs());
    session.takeQueue(taken.queue);
    this.#cold.enter(session);
    return session;
  }

  /** The session for a CONNECT that was checked and authorised [MQTT-3.1.4-2]. */
  open(packet: ConnectPacket, clientId: string, principal: Principal, expirySec: number): Opened {
    // Takeover: the other connection ends first, with all that an ending means [MQTT-3.1.4-3].
    this.#byClient.get(clientId)?.link?.leave(REASON.sessionTakenOver, '');
    const old = this.get(clientId);
    if (old !== undefined && packet.clean) this.end(old); // [MQTT-3.1.2-4]
    let session = this.#byClient.get(clientId);
    const present = session !== undefined;
    if (session === undefined) {
      session = new Session(this.#room, clientId, principal, expirySec > 0);
      this.#byClient.set(clientId, session);
      this.#room.metrics.sessions.set(this.count);
    }
    this.#cold.leave(session);
    if (present) {
      this.#room.broker.time.cancel(SESSION_END, clientId);
      // Coming back in time cancels a delayed will [MQTT-3.1.3-9].
      this.#room.wills.cancel(clientId);
    }
    session.principal = principal;
    session.expirySec = expirySec;
    session.will = packet.will === null ? null : willOf(packet.will);
    session.disconnectedAtMs = 0;
    if (session.durable || session.will !== null) session.save();
    return { session, present };
  }

  /** A connection has ended; `will` false when the client took it back with DISCONNECT 0. */
  disconnected(session: Session, will: boolean): void {
    const { link } = session;
    session.offline();
    if (link !== null) this.#room.hooks.disconnected(session, link, link.endReason);
    const nowMs = this.#room.nowMs();
    session.disconnectedAtMs = nowMs;
    if (!will) session.will = null; // [MQTT-3.14.4-3]
    if (session.will !== null) this.#willLater(session, nowMs);
    if (session.expirySec === 0) {
      this.end(session);
      return;
    }
    if (session.expirySec !== Number.POSITIVE_INFINITY) {
      const endsAtMs = nowMs + session.expirySec * 1000;
      this.#room.broker.time.set(SESSION_END, session.clientId, endsAtMs, NOTHING);
    }
    session.save();
    this.#cold.enter(session);
  }

  /** Ends a session: a will that waits is due now, everything else is removed. */
  end(session: Session): void {
    if (session.ended) return;
    const { broker, wills, hooks } = this.#room;
    hooks.ended(session);
    if (session.will !== null) this.#publishWill(session);
    else wills.hasten(session.clientId);
    broker.time.cancel(SESSION_END, session.clientId);
    this.#byClient.delete(session.clientId);
    this.#cold.leave(session);
    session.forget();
    this.#room.metrics.sessions.set(this.count);
  }

  /** Brings back what was stored, once, before the first connection. */
  restore(): void {
    const nowMs = this.#room.nowMs();
    this.#room.broker.time.register(SESSION_END, ({ id }) => {
      const session = this.get(id);
      if (session !== undefined && session.link === null) this.end(session);
    });
    this.#cold.restore();
    for (const stored of this.#room.store.load()) this.#restore(stored, nowMs);
    // Only now: a will that is due must find all subscriptions.
    for (const session of [...this.#byClient.values()]) this.#restored(session);
    this.#room.broker.cold.sweep();
    this.#room.groups.sweep();
    for (const queue of [...this.#room.broker.queues.list()]) {
      if (!queue.name.startsWith(SESSION_QUEUE_PREFIX)) continue;
      if (this.#room.broker.cold.has(queue.name)) continue;
      const clientId = queue.name.slice(SESSION_QUEUE_PREFIX.length);
      if (this.#byClient.get(clientId)?.queue !== queue) this.#room.broker.queues.remove(queue);
    }
    this.#room.metrics.sessions.set(this.count);
  }

  /** The server stops: what is stored stays. */
  close(): void {
    this.#cold.close();
    this.#room.broker.time.unregister(SESSION_END);
  }

  #restore(stored: StoredSession, nowMs: number): Session {
    const { clientId, record } = stored;
    const { principals } = this.#room.broker;
    // As on its connection, but for what only that knew; without rights when the user is gone.
    const today = principals.today(record.principal, { protocol: 'mqtt', clientId });
    const principal = today ?? record.principal;
    const session = new Session(this.#room, clientId, principal, record.durable);
    this.#byClient.set(clientId, session);
    session.expirySec = record.expirySec < 0 ? Number.POSITIVE_INFINITY : record.expirySec;
    session.will = record.will === null ? null : storedWill(record.will);
    // The clock went on while the server was down (M29); a crash ended the connection just now.
    session.disconnectedAtMs = record.disconnectedAtMs;
    session.expiring = record.expiring;
    for (const subscription of stored.subscriptions) {
      const { filter } = subscription;
      const plain = plainFilter(filter);
      const pattern = plain === null ? null : slashPattern(plain);
      if (pattern !== null) this.#restoreSubscription(session, subscription, pattern);
    }
    session.restoreReceived(stored.received);
    if (stored.released.length > 0 || stored.identifiers.size > 0) {
      session.outboundMade().restore(stored.released, stored.identifiers);
    }
    for (const { packetId, packet } of stored.held) restoreHeld(session, packetId, packet, nowMs);
    return session;
  }

  #restoreSubscription(session: Session, stored: SubscriptionRecord, pattern: Pattern): void {
    try {
      session.restoreSubscription(stored, pattern);
    } catch (error) {
      // It reads a stream that was removed meanwhile.
      expectBrokerError(error);
      this.#room.store.removeSubscription(session.clientId, stored.filter);
    }
  }

  #restored(session: Session): void {
    for (const each of session.subscriptions()) this.#room.exclusive.subscribed(session, each);
    if (session.disconnectedAtMs === 0) this.disconnected(session, true);
    else if (session.expirySec === 0) this.end(session);
    if (session.ended) return;
    session.restoreQueue();
    this.#cold.enter(session);
  }

  /** The will waits for its delay or the end of the session, whichever is first. */
  #willLater(session: Session, nowMs: number): void {
    const { will, expirySec, clientId } = session;
    const delaySec = Math.min(will!.delaySec, expirySec);
    if (delaySec === 0) {
      this.#publishWill(session);
      return;
    }
    const dueMs = nowMs + delaySec * 1000;
    const message = willMessage(will!, session.principal, dueMs);
    message.producer = clientId;
    session.will = null;
    this.#room.wills.set(clientId, message, 'first-level', dueMs);
  }

  #publishWill(session: Session): void {
    const { will, principal } = session;
    session.will = null;
    if (will === null) return;
    const message = willMessage(will, principal, this.#room.nowMs());
    message.producer = session.clientId;
    message.source = session;
    this.#room.publishWill(message);
  }
}

/** A held message comes back from its packet. */
function restoreHeld(session: Session, packetId: number, bytes: Buffer, nowMs: number): void {
  const framer = new Framer();
  const reader = new PacketReader();
  const packet = new PublishPacket();
  framer.push(bytes);
  if (!framer.next(reader, bytes.length)) return;
  decodePublish(reader, 5, packet);
  const topic = packet.topic.toString('utf8');
  const { qos, retain, properties } = packet;
  if (qos === 0) return;
  const address = slashSpelling.parse(topic);
  const message = messageOf(address, packet.payload, qos, retain, properties, nowMs);
  const ids = properties.subscriptionIds ?? null;
  session.outboundMade().restoreHeld(packetId, qos, { message, topic, retain, ids });
}
