/**
 * One step of a member from what it has to what it is meant to have (KIP-848, "Member Assignment
 * Reconciliation"): first it gives up, then its epoch moves on, then it gets what others gave up.
 * Pure.
 */
import {
  type Assignment,
  addTo,
  has,
  type MutableAssignment,
  NO_PARTITIONS,
} from './assignment.ts';

/**
 * `stable`: has what it is meant to have at its epoch. `unrevoked`: the client still has partitions
 * that it was told to give up. `unreleased`: some that it is meant to have are with others still.
 */
export type MemberState = 'stable' | 'unrevoked' | 'unreleased';

interface Reconciled {
  readonly epoch: number;
  readonly state: MemberState;
  /** What it may read. */
  readonly assigned: Assignment;
  /** What it was told to give up. */
  readonly revoking: Assignment;
}

interface Goal {
  readonly epoch: number;
  readonly target: Assignment;
  /** What the client says it has now; null when it says nothing. */
  readonly owned: Assignment | null;
  /** Another member has it, or has not said yet that it gave it up. */
  readonly isTaken: (topicId: string, partition: number) => boolean;
}

/** @returns null when nothing changes */
export function reconcile(member: Reconciled, goal: Goal): Reconciled | null {
  if (member.state === 'stable') {
    return member.epoch === goal.epoch ? null : next(member.epoch, member, goal);
  }
  if (member.state === 'unreleased') return next(member.epoch, member, goal);
  // Its epoch moves on when it has given up all that it was told to.
  return holdsSome(member.revoking, goal.owned) ? null : next(member.epoch + 1, member, goal);
}

function next(epoch: number, { assigned }: Reconciled, goal: Goal): Reconciled {
  const keeps: MutableAssignment = new Map();
  const gives: MutableAssignment = new Map();
  for (const [topicId, partitions] of assigned) {
    for (const partition of partitions) {
      addTo(has(goal.target, topicId, partition) ? keeps : gives, topicId, partition);
    }
  }
  if (gives.size > 0 && holdsSome(gives, goal.owned)) {
    return { epoch, state: 'unrevoked', assigned: keeps, revoking: gives };
  }
  let waits = false;
  for (const [topicId, partitions] of goal.target) {
    for (const partition of partitions) {
      if (has(keeps, topicId, partition)) continue;
      if (goal.isTaken(topicId, partition)) waits = true;
      else addTo(keeps, topicId, partition);
    }
  }
  const state = waits ? 'unreleased' : 'stable';
  return { epoch: goal.epoch, state, assigned: keeps, revoking: NO_PARTITIONS };
}

/** A client that does not say what it has may have all of it. */
function holdsSome(partitions: Assignment, owned: Assignment | null): boolean {
  if (owned === null) return true;
  for (const [topicId, own] of partitions) {
    for (const partition of own) if (has(owned, topicId, partition)) return true;
  }
  return false;
}
