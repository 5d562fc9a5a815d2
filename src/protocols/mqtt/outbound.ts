/**
 * QoS 1 and 2 messages on their way to one client: packet identifiers, the window, and what is
 * sent again after a reconnect or a crash.
 *
 * A message's place in the session's queue gives its packet identifier, so a restart finds the
 * same one again without a stored row per message; only the rare clash is stored. With QoS 2 the
 * stage between PUBREC and PUBCOMP is stored, because a PUBLISH must not be sent again then.
 */
import {
  type Attachment,
  type Delivery,
  type Message,
  type Queue,
  type QueueConsumer,
  slashSpelling,
} from '#broker';
import { PUBREL } from './codec/index.ts';
import { encodeMessage } from './packet-cache.ts';
import type { Session } from './session.ts';
import type { StoredSession } from './session-store.ts';
import type { SessionSubscription } from './subscription.ts';

const PUBREL_HEADER = (PUBREL << 4) | 2;
const IDENTIFIERS = 65_535;

/** Meta of a reference in a session's queue: granted QoS, retain as published, alias. */
export const META_QOS = 3;
export const META_RETAIN = 4;
export const META_ALIAS = 8;

/** A message that no queue keeps: the session has it until it is acknowledged. */
interface Held {
  readonly message: Message;
  readonly topic: string;
  readonly retain: boolean;
  readonly ids: readonly number[] | null;
}

/** Who is told that a message of its is done with. */
export interface Acknowledged {
  ack(position: number): void;
}

/** Something that brings messages while a client is there to take them. */
export interface Feed {
  attach(): void;
  detach(): void;
  /** There may be room again. */
  wake(): void;
}

interface Flight {
  readonly queue: Acknowledged | null;
  readonly position: number;
  readonly qos: 1 | 2;
  held: Held | null;
  /** PUBREC has come. */
  released: boolean;
  /** Sent on the connection that is there now. */
  sent: boolean;
}

/** Brings the messages of its own queue to a session. */
export class QueueFeed implements QueueConsumer, Feed {
  readonly #outbound: Outbound;
  readonly #queue: Queue;
  #attachment: Attachment | null = null;

  constructor(outbound: Outbound, queue: Queue) {
    this.#outbound = outbound;
    this.#queue = queue;
  }

  attach(): void {
    this.#attachment ??= this.#queue.attach(this);
  }

  detach(): void {
    const attachment = this.#attachment;
    this.#attachment = null;
    attachment?.detach();
  }

  wake(): void {
    this.#attachment?.wake();
  }

  ready(): boolean {
    return this.#outbound.ready();
  }

  deliver(delivery: Delivery): void {
    this.#outbound.deliver(this.#queue, delivery);
  }
}

export class Outbound {
  readonly #session: Session;
  readonly #flights = new Map<number, Flight>();
  /** Sent on this connection and not yet finished. */
  #open = 0;
  readonly #feeds = new Set<Feed>();
  /** Positions whose identifier is another than their place gives. */
  #identifiers: Map<number, number> | null = null;
  /** Released before a crash, whose end the queue may not have heard of. */
  #releasedPositions: Set<number> | null = null;
  #lastHeld = 0;
  #releases = 0;
  /** Held messages that wait for the window after a reconnect. */
  #unsent: number[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** What is under way, for people. */
  list(): { packetId: number; qos: number; state: string }[] {
    return [...this.#flights].map(([packetId, { qos, released, sent }]) => {
      const state = released ? 'released' : 'published';
      return { packetId, qos, state: sent ? state : `${state}, to be sent again` };
    });
  }

  addFeed(feed: Feed): void {
    this.#feeds.add(feed);
    if (this.#session.link?.delivering) feed.attach();
  }

  removeFeed(feed: Feed): void {
    this.#feeds.delete(feed);
    feed.detach();
  }

  /** The window and the socket have room [MQTT-3.3.4-9]. */
  ready(): boolean {
    const { link } = this.#session;
    return (
      link?.delivering === true &&
      this.#unsent.length === 0 &&
      this.#open < link.window &&
      link.hasRoom
    );
  }

  /** A connection is there: what was under way goes on, in its old order [MQTT-4.4.0-1]. */
  resume(): void {
    const link = this.#session.link!;
    for (const [packetId, flight] of this.#flights) {
      if (flight.released) {
        flight.sent = true;
        this.#open++;
        link.outputOf(packetId).ack(PUBREL_HEADER, packetId);
      } else if (flight.held !== null) this.#unsent.push(packetId);
    }
    this.#sendUnsent();
    for (const feed of this.#feeds) feed.attach();
  }

  /** The connection is gone. Identifiers stay reserved for what will be sent again. */
  pause(): void {
    this.#open = 0;
    this.#unsent.length = 0;
    for (const feed of this.#feeds) feed.detach();
    for (const [packetId, flight] of this.#flights) {
      flight.sent = false;
      // Of a shared group: another member gets it.
      if (flight.queue !== null && flight.queue !== this.#session.queue) {
        this.#flights.delete(packetId);
      }
    }
  }

  /** Room has come back: acknowledgements, or a drained socket. */
  wake(): void {
    this.#sendUnsent();
    for (const feed of this.#feeds) feed.wake();
  }

  deliver(queue: Queue, delivery: Delivery): void {
    const session = this.#session;
    const link = session.link!;
    const { message, position, meta } = delivery;
    if (this.#releasedPositions?.delete(position)) {
      queue.ack(position);
      return;
    }
    const qos = Math.min(message.qos, meta & META_QOS) as 0 | 1 | 2;
    if (qos === 0) {
      queue.ack(position);
      return;
    }
    const packetId = this.#identifierOf(queue, position);
    const shown = slashSpelling.show(message.address);
    const topic = (meta & META_ALIAS) !== 0 ? (message.address.flatName ?? shown) : shown;
    const retain = message.retain && (meta & META_RETAIN) !== 0;
    const ids = session.subscriptionIds(topic);
    if (!link.publish(message, topic, qos, retain, delivery.redelivered, packetId, ids)) {
      this.#forgetIdentifier(position);
      queue.ack(position);
      return;
    }
    this.#fly(packetId, { queue, position, qos, held: null, released: false, sent: true });
  }

  /**
   * A message of a source that is not the session's own queue: it is told when it is done with, and
   * has it again when the connection ends before that.
   */
  deliverFrom(
    queue: Acknowledged,
    subscription: SessionSubscription,
    message: Message,
    position: number,
    redelivered: boolean,
  ): void {
    const link = this.#session.link!;
    const qos = Math.min(message.qos, subscription.qos) as 0 | 1 | 2;
    const retain = message.retain && subscription.retainAsPublished;
    const topic = slashSpelling.show(message.address);
    const { ids } = subscription;
    if (qos === 2) {
      // Once begun it stays with its member [MQTT-4.8.2-4] [MQTT-4.8.2-5].
      this.hold(message, topic, 2, retain, ids);
      queue.ack(position);
      return;
    }
    if (qos === 0) {
      link.publish(message, topic, 0, retain, false, 0, ids);
      queue.ack(position);
      return;
    }
    const packetId = this.#freeIdentifier();
    if (!link.publish(message, topic, 1, retain, redelivered, packetId, ids)) {
      queue.ack(position);
      return;
    }
    this.#fly(packetId, { queue, position, qos: 1, held: null, released: false, sent: true });
  }

  /** Sends a message that the session itself keeps until it is acknowledged. */
  hold(
    message: Message,
    topic: string,
    qos: 1 | 2,
    retain: boolean,
    ids: readonly number[] | null,
  ): void {
    const { link, durable, store, clientId } = this.#session;
    const packetId = this.#freeIdentifier();
    if (link?.publish(message, topic, qos, retain, false, packetId, ids) !== true) return;
    if (durable) {
      const nowMs = this.#session.room.nowMs();
      const encoded = encodeMessage(message, topic, qos, retain, ids, 0, 5, nowMs);
      const packet = Buffer.concat([encoded.head, encoded.payload]);
      packet.writeUInt16BE(packetId, encoded.packetIdAt);
      store.saveHeld(clientId, packetId, packet);
    }
    const held = { message, topic, retain, ids };
    this.#fly(packetId, { queue: null, position: -1, qos, held, released: false, sent: true });
  }

  /** PUBACK ends it, whatever its reason [MQTT-4.3.2-3]. */
  acknowledged(packetId: number): void {
    const flight = this.#flights.get(packetId);
    if (flight !== undefined && flight.qos === 1) this.#finish(packetId, flight);
  }

  /** PUBREC. @returns false when the identifier is not known */
  received(packetId: number, reason: number): boolean {
    const flight = this.#flights.get(packetId);
    if (flight === undefined || flight.qos !== 2) return false;
    if (reason >= 0x80) {
      // No PUBREL follows a refusal [MQTT-4.3.3-4].
      if (!flight.released) this.#finish(packetId, flight);
      return true;
    }
    if (flight.released) this.#sendRelease(packetId, flight);
    else this.#release(packetId, flight);
    return true;
  }

  /** PUBCOMP. */
  completed(packetId: number): void {
    const flight = this.#flights.get(packetId);
    if (flight === undefined || !flight.released) return;
    this.#flights.delete(packetId);
    this.#session.room.hooks.messages?.acked(this.#session, packetId);
    if (flight.sent) this.#open--;
    const { durable, store, clientId } = this.#session;
    if (durable) store.removeReleased(clientId, packetId);
  }

  restore(
    released: readonly { readonly packetId: number; readonly position: number }[],
    identifiers: Map<number, number>,
  ): void {
    for (const { packetId, position } of released) {
      const rest = { held: null, released: true, sent: false } as const;
      this.#flights.set(packetId, { queue: null, position, qos: 2, ...rest });
      if (position < 0) continue;
      this.#releasedPositions ??= new Set();
      this.#releasedPositions.add(position);
    }
    this.#releases = released.length;
    if (identifiers.size > 0) this.#identifiers = identifiers;
  }

  restoreHeld(packetId: number, qos: 1 | 2, held: Held): void {
    const rest = { released: false, sent: false } as const;
    this.#flights.set(packetId, { queue: null, position: -1, qos, held, ...rest });
  }

  /** Nothing is under way but what is stored: no message of a source that is not the session's. */
  get rests(): boolean {
    for (const { queue } of this.#flights.values()) {
      if (queue !== null && queue !== this.#session.queue) return false;
    }
    return true;
  }

  /** What `restore` and `restoreHeld` brought, or would bring after a restart. */
  stored(): Pick<StoredSession, 'released' | 'held' | 'identifiers'> {
    const { store, clientId } = this.#session;
    const released: { packetId: number; position: number }[] = [];
    const held: { packetId: number; packet: Buffer }[] = [];
    for (const [packetId, flight] of this.#flights) {
      if (flight.released) released.push({ packetId, position: flight.position });
      else if (flight.held !== null)
        held.push({ packetId, packet: store.held(clientId, packetId) });
    }
    return { released, held, identifiers: new Map(this.#identifiers) };
  }

  /** The session ends: its rows go. */
  forget(): void {
    const { durable, store, clientId } = this.#session;
    for (const feed of this.#feeds) feed.detach();
    this.#feeds.clear();
    if (!durable) return;
    for (const [packetId, flight] of this.#flights) {
      if (flight.released) store.removeReleased(clientId, packetId);
      else if (flight.held !== null) store.removeHeld(clientId, packetId);
    }
    for (const position of this.#identifiers?.keys() ?? []) {
      store.removeIdentifier(clientId, position);
    }
  }

  #fly(packetId: number, flight: Flight): void {
    this.#flights.set(packetId, flight);
    this.#open++;
  }

  #finish(packetId: number, flight: Flight): void {
    this.#flights.delete(packetId);
    this.#session.room.hooks.messages?.acked(this.#session, packetId);
    if (flight.sent) this.#open--;
    this.#letGo(packetId, flight);
  }

  /** The message itself is done with, in its queue or in the session's rows. */
  #letGo(packetId: number, flight: Flight): void {
    const { durable, store, clientId } = this.#session;
    if (flight.queue !== null) {
      flight.queue.ack(flight.position);
      this.#forgetIdentifier(flight.position);
    } else if (flight.held !== null && durable) store.removeHeld(clientId, packetId);
  }

  /**
   * PUBREC: from here on only PUBREL is sent, after a crash too, so PUBREL waits for the commit.
   */
  #release(packetId: number, flight: Flight): void {
    const { durable, store, clientId } = this.#session;
    flight.released = true;
    // At the end of the map: PUBRELs go again in the order of their PUBRECs [MQTT-4.6.0-4].
    this.#flights.delete(packetId);
    this.#flights.set(packetId, flight);
    if (durable) store.saveReleased(clientId, packetId, flight.position, this.#releases++);
    this.#letGo(packetId, flight);
    flight.held = null;
    this.#sendRelease(packetId, flight);
  }

  #sendRelease(packetId: number, flight: Flight): void {
    const session = this.#session;
    const { link } = session;
    if (link === null) return;
    if (!session.durable) {
      link.outputOf(packetId).ack(PUBREL_HEADER, packetId);
      return;
    }
    session.store.committed((error) => {
      if (error !== null || session.link !== link || this.#flights.get(packetId) !== flight) return;
      link.outputOf(packetId).ack(PUBREL_HEADER, packetId);
    });
  }

  #sendUnsent(): void {
    const { link } = this.#session;
    while (link !== null && this.#unsent.length > 0 && this.#open < link.window && link.hasRoom) {
      const packetId = this.#unsent.shift()!;
      const flight = this.#flights.get(packetId);
      if (flight === undefined || flight.held === null) continue;
      const { message, topic, retain, ids } = flight.held;
      flight.sent = true;
      this.#open++;
      if (!link.publish(message, topic, flight.qos, retain, true, packetId, ids)) {
        this.#finish(packetId, flight);
      }
    }
  }

  #identifierOf(queue: Queue, position: number): number {
    const stored = this.#identifiers?.get(position);
    if (stored !== undefined) return stored;
    const own = (position % IDENTIFIERS) + 1;
    const flight = this.#flights.get(own);
    if (flight === undefined) return own;
    if (flight.queue === queue && flight.position === position && !flight.sent) return own;
    const other = this.#freeIdentifier();
    this.#identifiers ??= new Map();
    this.#identifiers.set(position, other);
    const { durable, store, clientId } = this.#session;
    if (durable) store.saveIdentifier(clientId, position, other);
    return other;
  }

  #forgetIdentifier(position: number): void {
    if (this.#identifiers?.delete(position) !== true) return;
    const { durable, store, clientId } = this.#session;
    if (durable) store.removeIdentifier(clientId, position);
  }

  /** Never one in use [MQTT-2.2.1-4]; the window is half of all identifiers at most. */
  #freeIdentifier(): number {
    do {
      this.#lastHeld = this.#lastHeld <= 1 ? IDENTIFIERS : this.#lastHeld - 1;
    } while (this.#flights.has(this.#lastHeld));
    return this.#lastHeld;
  }
}
