import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../seeded-random.rig.ts';
import { ColdLine } from './cold-line.ts';

interface Member {
  readonly since: number;
  /** Numbers of messages that it has. */
  has: number[];
}

/** What each member has, message by message. */
class Plain {
  readonly members: Member[] = [];
  /** Numbers of what is kept. */
  kept: number[] = [];
  dropped = 0;

  append(number: number, lengthMax: number, dropsOldest: boolean): void {
    this.kept.push(number);
    for (const member of this.members) {
      if (member.has.length >= lengthMax) {
        this.dropped++;
        if (!dropsOldest) continue;
        member.has.shift();
      }
      member.has.push(number);
    }
    if (!dropsOldest || this.kept.length <= lengthMax) return;
    this.kept.shift();
  }
}

function compare(line: ColdLine, plain: Plain, lengthMax: number): void {
  let total = 0;
  let full = 0;
  for (const { since, has } of plain.members) {
    assert.equal(line.lengthSince(since, lengthMax), has.length);
    total += has.length;
    if (has.length >= lengthMax) full++;
  }
  assert.equal(line.total(lengthMax), total);
  assert.equal(line.full, full);
  const needed = plain.kept.filter((number) =>
    plain.members.some(({ has }) => has.includes(number)),
  );
  assert.equal(
    line.end - line.needed,
    needed.length === 0 ? 0 : plain.kept.length - plain.kept.indexOf(needed[0]!),
  );
}

test('a line knows what waits for whom without looking at its members one by one M198', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const dropsOldest = random.next() < 0.5;
    const lengthMax = random.pick([1, 3, 10, Number.POSITIVE_INFINITY]);
    const line = new ColdLine('a/#', 0);
    const plain = new Plain();
    let number = 1;
    let dropped = 0;
    for (let step = 0; step < 300; step++) {
      const choice = random.below(10);
      if (choice < 4) {
        if (line.full === plain.members.length && !dropsOldest) dropped += line.full;
        else {
          dropped += line.append(number, plain.members.length, lengthMax);
          if (dropsOldest && line.end - line.start > lengthMax)
            line.dropBelow(line.end - lengthMax);
        }
        const refused = plain.members.every(({ has }) => has.length >= lengthMax) && !dropsOldest;
        plain.append(number++, lengthMax, dropsOldest);
        if (refused) plain.kept.pop();
      } else if (choice < 7) plain.members.push({ since: number, has: [] });
      else if (plain.members.length > 0) {
        const [gone] = plain.members.splice(random.below(plain.members.length), 1);
        line.leave(gone!.since, lengthMax);
      }
      assert.equal(dropped, plain.dropped, `seed ${seed}`);
      compare(line, plain, lengthMax);
    }
  }
});

test('a message that was refused was never in its line M159', () => {
  const line = new ColdLine('a', 0);
  line.append(1, 2, 2);
  line.append(2, 3, 2);
  assert.equal(line.full, 2);
  line.takeBack(2, 2);
  assert.equal(line.full, 0);
  assert.deepEqual([line.lengthSince(1, 2), line.lengthSince(2, 2)], [1, 0]);
  line.append(3, 3, 2);
  assert.deepEqual([line.lengthSince(1, 2), line.lengthSince(2, 2)], [2, 1]);
});
