import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AckState } from './ack-state.ts';
import { BitPages } from './bit-pages.ts';

describe('finished positions', () => {
  it('agree with a set after any order of additions X17', () => {
    // Small ranges, and large ones that fill and cross pages.
    const range = fc.oneof(
      fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 5 })),
      fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 2500 })),
    );
    fc.assert(
      fc.property(fc.nat(10), fc.array(range, { maxLength: 60 }), (floor, ranges) => {
        const acks = new AckState(floor);
        const set = new Set<number>();
        for (let at = 0; at < floor; at++) set.add(at);
        for (const [from, size] of ranges) {
          const before = set.size;
          for (let at = from; at < from + size; at++) set.add(at);
          assert.equal(acks.add(from, from + size), set.size - before);
        }
        let expected = 0;
        while (set.has(expected)) expected++;
        assert.equal(acks.floor, expected);
        assert.equal(acks.aboveCount, set.size - expected);
        for (let at = 0; at < 7600; at += 19) {
          assert.equal(acks.has(at), set.has(at), `position ${at}`);
          let open = at;
          while (set.has(open)) open++;
          assert.equal(acks.nextOpen(at), open);
        }
        const again = new AckState(acks.floor);
        let last = acks.floor;
        for (const [from, to] of acks.ranges()) {
          assert.ok(from > last && to > from);
          last = to;
          again.add(from, to);
        }
        assert.deepEqual([...again.ranges()], [...acks.ranges()]);
        assert.equal(acks.countFrom(acks.floor + 3), again.countFrom(acks.floor + 3));
      }),
      { numRuns: 200 },
    );
  });

  it('a million ranges are pages of bits, and the floor passes them when the gaps close X17', () => {
    const acks = new AckState(0);
    for (let at = 1; at < 2_000_000; at += 2) acks.add(at);
    assert.equal(acks.aboveCount, 1_000_000);
    assert.ok(acks.pageCount < 2000);
    for (let at = 0; at < 2_000_000; at += 2) acks.add(at);
    assert.deepEqual([acks.floor, acks.aboveCount, acks.pageCount], [2_000_000, 0, 0]);
  });
});

describe('pages of bits', () => {
  it('agree with a set after any additions and removals', () => {
    const step = fc.tuple(fc.boolean(), fc.nat(4000), fc.integer({ min: 1, max: 1100 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(4000), (steps, low) => {
        const pages = new BitPages();
        const set = new Set<number>();
        for (const [adds, from, size] of steps) {
          if (adds) {
            pages.add(from, from + size);
            for (let at = from; at < from + size; at++) set.add(at);
          } else {
            for (let at = from; at < from + 20; at++) {
              assert.equal(pages.delete(at), set.delete(at));
            }
          }
        }
        const check = (): void => {
          const sorted = [...set].sort((a, b) => a - b);
          assert.equal(pages.size, set.size);
          assert.equal(pages.first, sorted[0] ?? Number.POSITIVE_INFINITY);
          const next = sorted.find((at) => at >= low) ?? Number.POSITIVE_INFINITY;
          assert.equal(pages.nextMember(low), next);
          assert.equal(pages.countFrom(low), sorted.filter((at) => at >= low).length);
          assert.equal(pages.countBelow(low), sorted.filter((at) => at < low).length);
        };
        check();
        pages.dropBelow(low);
        for (const at of [...set]) if (at < low) set.delete(at);
        check();
      }),
      { numRuns: 200 },
    );
  });
});
