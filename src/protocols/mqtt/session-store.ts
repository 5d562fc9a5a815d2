/**
 * What is kept of sessions on disk, in the broker's hot state: one row per session, one per
 * subscription, one per QoS 2 exchange that stands between two packets. Sessions that end with
 * their connection are not here, but for those with a will: that must come even after a crash.
 */
import type { Principal, StateTable } from '#broker';
import type { FilterRequest } from './codec/index.ts';

const SESSION = 'mqtt.session';
const SUBSCRIPTION = 'mqtt.subscription';
/** Inbound QoS 2: identifiers between PUBLISH and PUBREL. */
const RECEIVED = 'mqtt.received';
/** Outbound QoS 2: identifiers between PUBREC and PUBCOMP. */
const RELEASED = 'mqtt.released';
/**
 * Outbound messages that no queue holds: replayed retained ones, QoS 2 ones of a shared group.
 */
const HELD = 'mqtt.held';
/** Sessions that are not in memory: all that the other kinds have of one, in one row. */
const COLD = 'cold/mqtt.session';
/** Outbound identifiers that are not the ones that their position gives. */
const IDENTIFIER = 'mqtt.identifier';

const NOTHING: Buffer = Buffer.alloc(0);

/** Client identifiers cannot contain U+0000 [MQTT-1.5.4-2]. */
const SEPARATOR = '\0';

export interface WillRecord {
  readonly topic: string;
  /** Payload as base64. */
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly delaySec: number;
  /** The will's properties as they are written in a packet, as base64. */
  readonly properties: string;
}

export interface SessionRecord {
  /** Seconds that it outlives its connection; -1 for ever. */
  readonly expirySec: number;
  readonly durable: boolean;
  /** When the connection ended; 0 while it is there. */
  readonly disconnectedAtMs: number;
  readonly principal: Principal;
  /** Null once the connection has ended: then it was published, or waits for its time. */
  readonly will: WillRecord | null;
  /** Messages that expire may wait in its queue. */
  readonly expiring: boolean;
}

export interface SubscriptionRecord extends FilterRequest {
  readonly id: number;
}

/** Everything of one session, as found at a start. */
export interface StoredSession {
  readonly clientId: string;
  readonly record: SessionRecord;
  readonly subscriptions: SubscriptionRecord[];
  readonly received: number[];
  /** In the order of their PUBREC. */
  readonly released: { readonly packetId: number; readonly position: number }[];
  readonly held: { readonly packetId: number; readonly packet: Buffer }[];
  readonly identifiers: Map<number, number>;
}

/**
 * The first line of a cold row has the subscriptions, behind the broker's mark and a sign that
 * tells if the session is placed.
 */
const PLACED = '+';
const NOT_PLACED = '-';

/** The second line. */
interface ColdRest extends Pick<StoredSession, 'record' | 'received' | 'released'> {
  /** Packets as base64. */
  readonly held: readonly (readonly [packetId: number, packet: string])[];
  readonly identifiers: readonly (readonly [position: number, packetId: number])[];
}

const NEW_LINE = '\n';
const LIST_BEGINS = '[';

interface ColdFacts extends Pick<StoredSession, 'clientId' | 'subscriptions'> {
  /** It knows positions of its queue, which must stay what they are. */
  readonly placed: boolean;
  /** The broker's mark when it left memory. */
  readonly since: number;
}

export function isPlaced({ released, identifiers }: StoredSession): boolean {
  return released.some(({ position }) => position >= 0) || identifiers.size > 0;
}

type Done = Parameters<StateTable['committed']>[0];

export class SessionStore {
  readonly #state: StateTable;

  constructor(state: StateTable) {
    this.#state = state;
  }

  committed(done: Done): void {
    this.#state.committed(done);
  }

  save(clientId: string, record: SessionRecord): void {
    this.#state.put(SESSION, clientId, Buffer.from(JSON.stringify(record)));
  }

  remove(clientId: string): void {
    this.#state.delete(SESSION, clientId);
  }

  saveSubscription(clientId: string, subscription: SubscriptionRecord): void {
    const row = Buffer.from(JSON.stringify(recordOf(subscription)));
    this.#put(SUBSCRIPTION, clientId, subscription.filter, row);
  }

  removeSubscription(clientId: string, filter: string): void {
    this.#delete(SUBSCRIPTION, clientId, filter);
  }

  saveReceived(clientId: string, packetId: number): void {
    this.#put(RECEIVED, clientId, packetId, NOTHING);
  }

  removeReceived(clientId: string, packetId: number): void {
    this.#delete(RECEIVED, clientId, packetId);
  }

  /** @param order grows with every release, so that a start finds their order again */
  saveReleased(clientId: string, packetId: number, position: number, order: number): void {
    const bytes = Buffer.allocUnsafe(16);
    bytes.writeDoubleBE(position, 0);
    bytes.writeDoubleBE(order, 8);
    this.#put(RELEASED, clientId, packetId, bytes);
  }

  removeReleased(clientId: string, packetId: number): void {
    this.#delete(RELEASED, clientId, packetId);
  }

  /** @param packet the message as a version 5 PUBLISH */
  saveHeld(clientId: string, packetId: number, packet: Buffer): void {
    this.#put(HELD, clientId, packetId, packet);
  }

  removeHeld(clientId: string, packetId: number): void {
    this.#delete(HELD, clientId, packetId);
  }

  saveIdentifier(clientId: string, position: number, packetId: number): void {
    this.#put(IDENTIFIER, clientId, position, Buffer.from(String(packetId)));
  }

  removeIdentifier(clientId: string, position: number): void {
    this.#delete(IDENTIFIER, clientId, position);
  }

  /** A held packet, as it was saved. */
  held(clientId: string, packetId: number): Buffer {
    return this.#state.get(HELD, `${clientId}${SEPARATOR}${packetId}`)!;
  }

  // ---- sessions that are not in memory --------------------------------------------------------

  get coldCount(): number {
    return this.#state.count(COLD);
  }

  /** All that is stored of a session goes into one row. @param since the broker's mark now */
  putCold(session: StoredSession, since: number): void {
    const { clientId, record, received, released, identifiers } = session;
    const rest: ColdRest = {
      ...{ record, received, released, identifiers: [...identifiers] },
      held: session.held.map(({ packetId, packet }) => [packetId, packet.toString('base64')]),
    };
    const sign = isPlaced(session) ? PLACED : NOT_PLACED;
    const text = `${sign}${since}${JSON.stringify(session.subscriptions)}\n${JSON.stringify(rest)}`;
    this.#state.put(COLD, clientId, Buffer.from(text), clientId, 'new');
    this.#removeParts(session);
    this.remove(clientId);
  }

  /** The rows of a session that is to be in memory again; null when there is no such session. */
  takeCold(clientId: string): StoredSession | null {
    const value = this.coldCount === 0 ? undefined : this.#state.get(COLD, clientId);
    if (value === undefined) return null;
    const session = decodeCold(clientId, value);
    this.#state.delete(COLD, clientId, clientId, 'there');
    this.save(clientId, session.record);
    for (const subscription of session.subscriptions) this.saveSubscription(clientId, subscription);
    for (const packetId of session.received) this.saveReceived(clientId, packetId);
    for (const [order, { packetId, position }] of session.released.entries()) {
      this.saveReleased(clientId, packetId, position, order);
    }
    for (const { packetId, packet } of session.held) this.saveHeld(clientId, packetId, packet);
    for (const [position, id] of session.identifiers) this.saveIdentifier(clientId, position, id);
    return session;
  }

  /** What the broker must know of all sessions that are not in memory: a start reads a million. */
  *scanCold(): Generator<ColdFacts> {
    for (const [clientId, text] of this.#state.texts(COLD)) {
      const listAt = text.indexOf(LIST_BEGINS);
      const list = text.slice(listAt, text.indexOf(NEW_LINE));
      const subscriptions = JSON.parse(list) as SubscriptionRecord[];
      // Those of an earlier version have no mark: they have had nothing.
      const since = Number(text.slice(1, listAt));
      yield { clientId, subscriptions, placed: text.startsWith(PLACED), since };
    }
  }

  *listCold(): Generator<StoredSession> {
    for (const [clientId, value] of this.#state.scan(COLD)) yield decodeCold(clientId, value);
  }

  #removeParts(session: StoredSession): void {
    const { clientId, subscriptions, received, released, held, identifiers } = session;
    for (const { filter } of subscriptions) this.removeSubscription(clientId, filter);
    for (const packetId of received) this.removeReceived(clientId, packetId);
    for (const { packetId } of released) this.removeReleased(clientId, packetId);
    for (const { packetId } of held) this.removeHeld(clientId, packetId);
    for (const position of identifiers.keys()) this.removeIdentifier(clientId, position);
  }

  /** All sessions in memory as they were at the last commit. */
  load(): StoredSession[] {
    const sessions = new Map<string, StoredSession>();
    for (const [clientId, value] of this.#state.scan(SESSION)) {
      sessions.set(clientId, {
        clientId,
        record: JSON.parse(value.toString()) as SessionRecord,
        subscriptions: [],
        received: [],
        released: [],
        held: [],
        identifiers: new Map(),
      });
    }
    this.#each(SUBSCRIPTION, sessions, (session, _, value) => {
      session.subscriptions.push(JSON.parse(value.toString()) as SubscriptionRecord);
    });
    this.#each(RECEIVED, sessions, (session, id) => session.received.push(Number(id)));
    this.#each(HELD, sessions, (session, id, packet) => {
      session.held.push({ packetId: Number(id), packet });
    });
    this.#each(IDENTIFIER, sessions, (session, position, value) => {
      session.identifiers.set(Number(position), Number(value.toString()));
    });
    this.#loadReleased(sessions);
    return [...sessions.values()];
  }

  #loadReleased(sessions: ReadonlyMap<string, StoredSession>): void {
    const found: { session: StoredSession; packetId: number; value: Buffer }[] = [];
    this.#each(RELEASED, sessions, (session, id, value) => {
      found.push({ session, packetId: Number(id), value });
    });
    found.sort((a, b) => a.value.readDoubleBE(8) - b.value.readDoubleBE(8));
    for (const { session, packetId, value } of found) {
      session.released.push({ packetId, position: value.readDoubleBE(0) });
    }
  }

  #put(kind: string, clientId: string, part: string | number, value: Buffer): void {
    this.#state.put(kind, `${clientId}${SEPARATOR}${part}`, value);
  }

  #delete(kind: string, clientId: string, part: string | number): void {
    this.#state.delete(kind, `${clientId}${SEPARATOR}${part}`);
  }

  /** Rows of one kind with their session; those of a session that is gone are removed. */
  #each(
    kind: string,
    sessions: ReadonlyMap<string, StoredSession>,
    row: (session: StoredSession, part: string, value: Buffer) => void,
  ): void {
    for (const [key, value] of [...this.#state.scan(kind)]) {
      const end = key.indexOf(SEPARATOR);
      const session = sessions.get(key.slice(0, end));
      if (session === undefined) this.#state.delete(kind, key);
      else row(session, key.slice(end + 1), value);
    }
  }
}

/** What is stored of a subscription. */
export function recordOf(subscription: SubscriptionRecord): SubscriptionRecord {
  const { filter, qos, noLocal, retainAsPublished, retainHandling, id } = subscription;
  return { filter, qos, noLocal, retainAsPublished, retainHandling, id };
}

function subscriptionsOf(value: Buffer): SubscriptionRecord[] {
  const text = value.toString('utf8', value.indexOf(LIST_BEGINS), value.indexOf(NEW_LINE));
  return JSON.parse(text) as SubscriptionRecord[];
}

function decodeCold(clientId: string, value: Buffer): StoredSession {
  const text = value.toString('utf8', value.indexOf(NEW_LINE) + 1);
  const { record, received, released, held, identifiers } = JSON.parse(text) as ColdRest;
  return {
    ...{ clientId, record, received, released, subscriptions: subscriptionsOf(value) },
    held: held.map(([packetId, packet]) => ({ packetId, packet: Buffer.from(packet, 'base64') })),
    identifiers: new Map(identifiers),
  };
}
