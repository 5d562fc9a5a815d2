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
    const { filter, qos, noLocal, retainAsPublished, retainHandling, id } = subscription;
    const record = { filter, qos, noLocal, retainAsPublished, retainHandling, id };
    this.#put(SUBSCRIPTION, clientId, filter, Buffer.from(JSON.stringify(record)));
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

  /** All sessions as they were at the last commit. */
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
