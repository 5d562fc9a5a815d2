/**
 * Presence: what clients do, as messages. `$events/{name}` carries the events that the options
 * name; EMQX's older form under `$SYS/brokers/{node}/clients/{id}/…` is there with the tree (M171).
 */
import { type Broker, type Message, SERVER_PRINCIPAL, slashSpelling, type Target } from '#broker';
import type { Host } from '#contract';
import { BrokerError } from '#kit';
import { reasonSentence } from '../codec/index.ts';
import type { Link } from '../connection.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import type { SessionSubscription } from '../subscription.ts';
import type { Feature } from './feature.ts';
import { type DropReason, MessageWatch, type SessionWatch } from './hooks.ts';
import { InFlightNotes } from './in-flight-notes.ts';
import { ownTarget, tell } from './server-message.ts';
import { nodeName } from './sys-tree.ts';

const NAMES = [
  'client_connected',
  'client_disconnected',
  'session_subscribed',
  'session_unsubscribed',
  'message_delivered',
  'message_acked',
  'message_dropped',
] as const;
type EventName = (typeof NAMES)[number];
type Fields = Readonly<Record<string, string | number | boolean | null>>;

export class Presence implements Feature, SessionWatch {
  readonly actions = [];
  readonly #room: Room;
  readonly #broker: Broker;
  readonly #events = new Map<EventName, Target>();
  /** Prefix of the older form; null when there is no tree. */
  readonly #clients: string | null;

  constructor(room: Room, host: Host) {
    this.#room = room;
    this.#broker = room.broker;
    for (const text of room.options.presenceEvents) {
      const name = NAMES.find((each) => each === text);
      if (name === undefined) {
        const known = NAMES.join(', ');
        throw new BrokerError(
          'bad-configuration',
          `no event is called "${text}"; known: ${known}.`,
        );
      }
      this.#events.set(name, ownTarget(room.broker, `$events/${name}`));
    }
    this.#clients = room.options.sysInterval > 0 ? `$SYS/brokers/${nodeName(host)}/clients` : null;
    if (this.#events.size > 0 || this.#clients !== null) room.hooks.watchSessions(this);
    const ofMessages = [...this.#events.keys()].filter((name) => name.startsWith('message_'));
    if (ofMessages.length > 0) room.hooks.watchMessages(new MessageEvents(this, room), true);
  }

  connected(link: Link): void {
    const session = link.session;
    if (session === null) return;
    const { connection, version, keepAliveSec } = link;
    this.#tell('client_connected', 'connected', session, () => ({
      ...peerOf(link),
      proto_ver: version,
      keepalive: keepAliveSec,
      clean_start: !session.durable,
      expiry_interval: Number.isFinite(session.expirySec) ? session.expirySec : 0xffffffff,
      listener: connection.listener,
      connected_at: this.#room.nowMs(),
    }));
  }

  disconnected(session: Session, link: Link, reason: number): void {
    this.#tell('client_disconnected', 'disconnected', session, () => ({
      ...peerOf(link),
      proto_ver: link.version,
      reason: reason < 0 ? 'connection lost' : reasonSentence(reason),
      reason_code: reason < 0 ? null : reason,
      disconnected_at: this.#room.nowMs(),
    }));
  }

  subscribed(session: Session, subscription: SessionSubscription): void {
    const { filter, qos } = subscription;
    this.#tell('session_subscribed', 'subscribed', session, () => ({ topic: filter, qos }));
  }

  unsubscribed(session: Session, filter: string): void {
    this.#tell('session_unsubscribed', 'unsubscribed', session, () => ({ topic: filter }));
  }

  /** An event about a message; never about one of the server itself, which would not end. */
  message(name: EventName, session: Session, message: Message, topic: string, more: Fields): void {
    if (message.principal === SERVER_PRINCIPAL) return;
    this.#tell(name, null, session, () => ({
      topic,
      from_clientid: message.producer,
      payload_bytes: message.value?.length ?? 0,
      publish_received_at: message.appendTimeMs,
      ...more,
    }));
  }

  #tell(name: EventName, older: string | null, session: Session, fields: () => Fields): void {
    const target = this.#events.get(name);
    if (target !== undefined) tell(this.#broker, target, () => this.#text(session, fields));
    if (older === null || this.#clients === null) return;
    const { clientId } = session;
    // A client identifier may hold anything; a topic may not.
    if (/[/+#]/.test(clientId)) return;
    const place = ownTarget(this.#broker, `${this.#clients}/${clientId}/${older}`);
    tell(this.#broker, place, () => this.#text(session, fields));
  }

  #text(session: Session, fields: () => Fields): string {
    const { clientId, principal } = session;
    const who = { clientid: clientId, username: principal.name };
    return JSON.stringify({ ...who, ...fields(), timestamp: this.#room.nowMs() });
  }
}

function peerOf({ connection: { peer } }: Link): Fields {
  return { peername: `${peer.address}:${peer.port}`, ipaddress: peer.address };
}

class MessageEvents extends MessageWatch {
  readonly #presence: Presence;
  readonly #notes = new InFlightNotes();

  constructor(presence: Presence, room: Room) {
    super();
    this.#presence = presence;
    room.hooks.watchSessions(this.#notes);
  }

  override sent(session: Session, message: Message, topic: string, qos: number, id: number): void {
    if (qos > 0) this.#notes.set(session, id, { message, topic, sentMs: 0 });
    this.#presence.message('message_delivered', session, message, topic, { qos });
  }

  override acked(session: Session, packetId: number): void {
    const note = this.#notes.take(session, packetId);
    if (note === undefined) return;
    this.#presence.message('message_acked', session, note.message, note.topic, {});
  }

  override dropped(session: Session, message: Message, topic: string, reason: DropReason): void {
    const shown = topic === '' ? slashSpelling.show(message.address) : topic;
    this.#presence.message('message_dropped', session, message, shown, { reason });
  }
}
