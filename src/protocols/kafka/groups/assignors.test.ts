import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../codec.fixture.ts';
import { countOf, isSame } from './assignment.ts';
import { ASSIGNORS, type AssignedMember, type Targets } from './assignors.ts';

const { uniform, range } = ASSIGNORS as Required<typeof ASSIGNORS>;

function member(id: string, topics: string, more: Partial<AssignedMember> = {}): AssignedMember {
  return { id, instanceId: null, topicIds: new Set(topics), before: new Map(), ...more };
}

function shown(targets: Targets): Record<string, string> {
  return Object.fromEntries(
    [...targets].map(([id, target]) => [
      id,
      [...target].map(([topic, own]) => `${topic}${[...own].join('')}`).join(' '),
    ]),
  );
}

test('range gives each member a stretch of every topic, the first ones one more K64', () => {
  const partitions = new Map([
    ['x', 3],
    ['y', 4],
  ]);
  const members = [member('b', 'xy'), member('a', 'xy')];
  assert.deepEqual(shown(range!(members, partitions)), { b: 'x2 y23', a: 'x01 y01' });
  const some = [member('a', 'x'), member('b', 'xy'), member('c', 'y')];
  assert.deepEqual(shown(range!(some, partitions)), { a: 'x01', b: 'x2 y01', c: 'y23' });
  const fixed = [member('a', 'x'), member('z', 'x', { instanceId: 'pod-1' })];
  assert.deepEqual(shown(range!(fixed, new Map([['x', 3]]))), { a: 'x2', z: 'x01' });
});

test('uniform moves no more than it must when a member comes and when one goes K64', () => {
  const partitions = new Map([['x', 7]]);
  const first = uniform!([member('a', 'x'), member('b', 'x')], partitions);
  assert.deepEqual([...first.values()].map(countOf).sort(), [3, 4]);
  const before = (id: string) => ({ before: first.get(id) ?? new Map() });
  const three = ['a', 'b', 'c'].map((id) => member(id, 'x', before(id)));
  const second = uniform!(three, partitions);
  assert.deepEqual([...second.values()].map(countOf).sort(), [2, 2, 3]);
  for (const id of ['a', 'b']) {
    for (const partition of second.get(id)!.get('x')!)
      assert.ok(first.get(id)!.get('x')!.has(partition));
  }
  assert.ok(
    isSame(
      uniform!(
        three.map((one) => ({ ...one, before: second.get(one.id)! })),
        partitions,
      ).get('c')!,
      second.get('c')!,
    ),
  );
});

test('any members with any subscriptions: every partition has one reader, counts are even, nothing moves twice K64', () => {
  const random = seeded(7);
  for (let round = 0; round < 300; round++) {
    const topics = 'pqrstu'.slice(0, 1 + Math.floor(random() * 6));
    const partitions = new Map([...topics].map((topic) => [topic, 1 + Math.floor(random() * 9)]));
    const alike = random() < 0.4;
    let members = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index) => {
      const own = alike ? topics : [...topics].filter(() => random() < 0.6).join('');
      return member(`m${index}`, own, { instanceId: random() < 0.3 ? `i${index}` : null });
    });
    for (const [topic] of partitions) {
      if (!members.some(({ topicIds }) => topicIds.has(topic))) partitions.delete(topic);
    }
    for (const assignor of [uniform!, range!]) {
      let targets = assignor(members, partitions);
      check(targets, members, partitions);
      members = members.map((one) => ({ ...one, before: targets.get(one.id)! }));
      const again = assignor(members, partitions);
      for (const { id } of members) assert.ok(isSame(again.get(id)!, targets.get(id)!));
      if (members.length > 1) {
        members = members.slice(1);
        for (const [topic] of partitions) {
          if (!members.some(({ topicIds }) => topicIds.has(topic))) partitions.delete(topic);
        }
        targets = assignor(members, partitions);
        check(targets, members, partitions);
      }
      if (assignor === uniform) assert.ok(isEven(targets, members), `round ${round}`);
    }
  }
});

function check(
  targets: Targets,
  members: readonly AssignedMember[],
  partitions: Map<string, number>,
): void {
  const seen = new Set<string>();
  for (const { id, topicIds } of members) {
    for (const [topic, own] of targets.get(id)!) {
      assert.ok(topicIds.has(topic));
      for (const partition of own) {
        assert.ok(partition < partitions.get(topic)!);
        assert.ok(!seen.has(topic + partition), `${topic}${partition} has two readers`);
        seen.add(topic + partition);
      }
    }
  }
  assert.equal(
    seen.size,
    [...partitions.values()].reduce((sum, count) => sum + count, 0),
  );
}

/** Nobody has two more than another who reads one of its topics too. */
function isEven(targets: Targets, members: readonly AssignedMember[]): boolean {
  return members.every(({ id }) =>
    [...targets.get(id)!.keys()].every((topic) =>
      members.every(
        (other) =>
          !other.topicIds.has(topic) ||
          countOf(targets.get(id)!) <= countOf(targets.get(other.id)!) + 1,
      ),
    ),
  );
}
