/**
 * Share sessions: what a member fetches, told once and then by changes, in requests that are
 * numbered. A session lives with its connection: when that goes, what the member had in hand goes
 * back at once.
 */
import { KAFKA } from '../error-codes.ts';
import type { Session } from '../session.ts';
import { type SharePartition, Taker } from './share-partition.ts';

const INITIAL_EPOCH = 0;
export const FINAL_EPOCH = -1;
const EPOCH_MAX = 0x7fffffff;

interface SharedPart {
  readonly topicId: string;
  readonly index: number;
}

export class ShareSession {
  readonly groupId: string;
  readonly memberId: string;
  readonly owner: Session;
  /** Of the next request. */
  epoch = 1;
  /** Counts fetches, to begin each with another partition. */
  turn = 0;
  readonly parts = new Map<string, SharedPart>();
  readonly #takers: Map<SharePartition, Taker>;

  constructor(groupId: string, memberId: string, owner: Session, before: ShareSession | undefined) {
    this.groupId = groupId;
    this.memberId = memberId;
    this.owner = owner;
    // A member that begins anew still has what it has acquired.
    this.#takers = before === undefined ? new Map() : before.#takers;
  }

  taker(share: SharePartition): Taker {
    let taker = this.#takers.get(share);
    if (taker === undefined) {
      taker = new Taker(share);
      this.#takers.set(share, taker);
    }
    return taker;
  }

  known(share: SharePartition): Taker | undefined {
    return this.#takers.get(share);
  }

  /** The queue of the partition has gone. */
  forget(share: SharePartition): void {
    this.#takers.get(share)?.end();
    this.#takers.delete(share);
  }

  advance(): void {
    this.epoch = this.epoch === EPOCH_MAX ? 1 : this.epoch + 1;
  }

  end(): void {
    for (const taker of this.#takers.values()) taker.end();
    this.#takers.clear();
  }
}

export class ShareSessions {
  readonly #max: number;
  readonly #all = new Map<string, ShareSession>();
  readonly #byOwner = new Map<Session, Set<ShareSession>>();

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#all.size;
  }

  /** The session that a fetch belongs to, or an error code. */
  ofFetch(
    owner: Session,
    groupId: string,
    memberId: string,
    epoch: number,
    hasAcknowledgements: boolean,
  ): ShareSession | number {
    if (epoch !== INITIAL_EPOCH) return this.#known(groupId, memberId, epoch);
    if (hasAcknowledgements) return KAFKA.INVALID_REQUEST;
    const key = keyOf(groupId, memberId);
    const before = this.#all.get(key);
    if (before === undefined && this.#all.size >= this.#max) {
      return KAFKA.SHARE_SESSION_LIMIT_REACHED;
    }
    if (before !== undefined) this.#drop(key, before);
    const session = new ShareSession(groupId, memberId, owner, before);
    this.#all.set(key, session);
    const others = this.#byOwner.get(owner);
    if (others === undefined) this.#byOwner.set(owner, new Set([session]));
    else others.add(session);
    return session;
  }

  /** The session that acknowledgements without a fetch belong to, or an error code. */
  ofAcknowledgement(groupId: string, memberId: string, epoch: number): ShareSession | number {
    if (epoch === INITIAL_EPOCH) return KAFKA.INVALID_SHARE_SESSION_EPOCH;
    return this.#known(groupId, memberId, epoch);
  }

  /** The member is done, or gone. */
  end(groupId: string, memberId: string): void {
    const key = keyOf(groupId, memberId);
    const session = this.#all.get(key);
    if (session === undefined) return;
    this.#drop(key, session);
    session.end();
  }

  left(owner: Session): void {
    for (const { groupId, memberId } of [...(this.#byOwner.get(owner) ?? [])]) {
      this.end(groupId, memberId);
    }
  }

  /** The partition is not the group's any more. */
  forget(share: SharePartition): void {
    for (const session of this.#all.values()) session.forget(share);
  }

  close(): void {
    for (const session of this.#all.values()) session.end();
    this.#all.clear();
    this.#byOwner.clear();
  }

  #known(groupId: string, memberId: string, epoch: number): ShareSession | number {
    const session = this.#all.get(keyOf(groupId, memberId));
    if (session === undefined) return KAFKA.SHARE_SESSION_NOT_FOUND;
    if (epoch === FINAL_EPOCH) return session;
    if (epoch !== session.epoch) return KAFKA.INVALID_SHARE_SESSION_EPOCH;
    session.advance();
    return session;
  }

  #drop(key: string, session: ShareSession): void {
    this.#all.delete(key);
    const others = this.#byOwner.get(session.owner);
    others?.delete(session);
    if (others?.size === 0) this.#byOwner.delete(session.owner);
  }
}

function keyOf(groupId: string, memberId: string): string {
  return `${groupId.length} ${groupId}${memberId}`;
}
