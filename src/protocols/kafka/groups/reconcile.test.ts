import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../codec.fixture.ts';
import { type Assignment, countOf, isSame, isWithin, NO_PARTITIONS } from './assignment.ts';
import { ASSIGNORS } from './assignors.ts';
import { Owners } from './owners.ts';
import { type MemberState, reconcile } from './reconcile.ts';

interface Member {
  readonly id: string;
  epoch: number;
  state: MemberState;
  assigned: Assignment;
  revoking: Assignment;
  target: Assignment;
  /** What its client has: it follows what it was told when it wants to. */
  owned: Assignment;
}

const PARTITIONS = new Map([
  ['x', 5],
  ['y', 3],
]);

test('whatever comes in whatever order, no partition is with two clients, and all end where they should K64', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed);
    const owners = new Owners();
    let members: Member[] = [];
    let epoch = 0;
    const assign = (): void => {
      epoch++;
      const targets = ASSIGNORS[random() < 0.5 ? 'uniform' : 'range']!(
        members.map(({ id, target }) => {
          return { id, instanceId: null, topicIds: new Set('xy'), before: target };
        }),
        PARTITIONS,
      );
      for (const member of members) member.target = targets.get(member.id)!;
    };
    const beat = (member: Member, says: boolean): void => {
      const step = reconcile(member, {
        ...{ epoch, target: member.target, owned: says ? member.owned : null },
        isTaken: (topicId, partition) => {
          const owner = owners.of(topicId, partition);
          return owner !== undefined && owner !== member.id;
        },
      });
      if (step === null) return;
      assert.ok(step.epoch >= member.epoch, 'epochs do not go back');
      owners.remove(member.id, member.assigned);
      owners.remove(member.id, member.revoking);
      Object.assign(member, step);
      owners.add(member.id, member.assigned);
      owners.add(member.id, member.revoking);
    };
    const check = (): void => {
      const seen = new Set<string>();
      for (const { owned } of members) {
        for (const [topic, own] of owned) {
          for (const partition of own) {
            assert.ok(!seen.has(topic + partition), `${topic}${partition} has two readers`);
            seen.add(topic + partition);
          }
        }
      }
    };
    for (let round = 0; round < 300; round++) {
      const dice = random();
      const member = members[Math.floor(random() * members.length)];
      if (member === undefined || (dice < 0.05 && members.length < 6)) {
        const nothing = { assigned: NO_PARTITIONS, revoking: NO_PARTITIONS, owned: NO_PARTITIONS };
        const state = 'stable' as const;
        members.push({ id: `m${round}`, epoch: 0, state, target: NO_PARTITIONS, ...nothing });
        assign();
      } else if (dice < 0.08) {
        members = members.filter((one) => one !== member);
        owners.remove(member.id, member.assigned);
        owners.remove(member.id, member.revoking);
        assign();
      } else if (dice < 0.6) beat(member, random() < 0.7);
      else member.owned = member.assigned;
      check();
    }
    for (let round = 0; round < 6; round++) {
      for (const member of members) {
        beat(member, true);
        member.owned = member.assigned;
        check();
      }
    }
    for (const member of members) {
      assert.deepEqual([member.state, member.epoch], ['stable', epoch], `seed ${seed}`);
      assert.ok(isSame(member.owned, member.target) && isWithin(member.owned, member.assigned));
    }
    assert.equal(
      members.reduce((sum, { owned }) => sum + countOf(owned), 0),
      members.length && 8,
    );
  }
});
