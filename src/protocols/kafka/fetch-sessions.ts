/**
 * Fetch sessions (KIP-227): a client names its partitions once, and then only what changes; the
 * answers bring only partitions that have something to say. Their number is bounded: a new session
 * takes the place of one that was idle for long or is smaller, or the client fetches in full.
 */
import type { Host } from '#contract';
import type { KafkaOptions } from './options.ts';

/** What a session knows of one partition: what the client asks, and what it was told last. */
export interface SessionPart {
  readonly topic: string;
  readonly topicId: string;
  readonly index: number;
  fetchOffset: number;
  bytesMax: number;
  leaderEpoch: number;
  /** Of the record before `fetchOffset`; -1 for untold. */
  lastEpoch: number;
  /** What was told last; below -1: nothing was. */
  highWatermark: number;
  stableOffset: number;
  startOffset: number;
  failed: boolean;
}

/** The epoch after the last one is 1 again: 0 begins a session. */
const EPOCH_LAST = 0x7fffffff;

export class FetchSession {
  readonly id: number;
  /** Name of the principal that may use it. */
  readonly owner: string;
  /** In the order in which they are asked for; what was answered goes to the end. */
  readonly parts = new Map<string, SessionPart>();
  /** Of the next request. */
  epoch = 1;
  usedMs: number;

  constructor(id: number, owner: string, nowMs: number) {
    this.id = id;
    this.owner = owner;
    this.usedMs = nowMs;
  }

  advance(): void {
    this.epoch = this.epoch === EPOCH_LAST ? 1 : this.epoch + 1;
  }
}

export class FetchSessions {
  /** Least lately used first. */
  readonly #sessions = new Map<number, FetchSession>();
  readonly #host: Pick<Host, 'clock' | 'random'>;
  readonly #max: number;
  readonly #evictionMinMs: number;

  constructor(host: Pick<Host, 'clock' | 'random'>, options: KafkaOptions) {
    this.#host = host;
    this.#max = options.fetchSessionsMax;
    this.#evictionMinMs = options.fetchSessionEvictionMin;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** A session for so many partitions, or null when there is no place for it. */
  open(owner: string, size: number): FetchSession | null {
    if (this.#sessions.size >= this.#max && !this.#makeRoom(size)) return null;
    let id = 0;
    while (id === 0 || this.#sessions.has(id)) {
      id = this.#host.random.bytes(4).readUInt32BE() & 0x7fffffff;
    }
    const session = new FetchSession(id, owner, this.#host.clock.monotonicMs());
    this.#sessions.set(id, session);
    return session;
  }

  /** Of others nobody is told that they exist. */
  find(id: number, owner: string): FetchSession | undefined {
    const session = this.#sessions.get(id);
    return session?.owner === owner ? session : undefined;
  }

  used(session: FetchSession): void {
    session.usedMs = this.#host.clock.monotonicMs();
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
  }

  end(session: FetchSession): void {
    this.#sessions.delete(session.id);
  }

  #makeRoom(size: number): boolean {
    const [oldest] = this.#sessions.values();
    if (oldest === undefined) return false;
    const idleSinceMs = this.#host.clock.monotonicMs() - this.#evictionMinMs;
    if (oldest.usedMs <= idleSinceMs) {
      this.#sessions.delete(oldest.id);
      return true;
    }
    // All are in use: the smallest one saves its client least.
    let smallest = oldest;
    for (const session of this.#sessions.values()) {
      if (session.parts.size < smallest.parts.size) smallest = session;
    }
    if (smallest.parts.size >= size) return false;
    this.#sessions.delete(smallest.id);
    return true;
  }
}
