import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AckState } from './ack-state.ts';

describe('finished positions', () => {
  it('agree with a set after any order of additions X17', () => {
    const range = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 5 }));
    fc.assert(
      fc.property(fc.nat(10), fc.array(range, { maxLength: 60 }), (floor, ranges) => {
        const acks = new AckState(floor);
        const set = new Set<number>();
        for (let at = 0; at < floor; at++) set.add(at);
        for (const [from, size] of ranges) {
          acks.add(from, from + size);
          for (let at = from; at < from + size; at++) set.add(at);
        }
        let expected = 0;
        while (set.has(expected)) expected++;
        assert.equal(acks.floor, expected);
        for (let at = 0; at < 80; at++) {
          assert.equal(acks.has(at), set.has(at), `position ${at}`);
          let open = at;
          while (set.has(open)) open++;
          assert.equal(acks.nextOpen(at), open);
        }
        const flat = acks.ranges.flat();
        for (let index = 1; index < flat.length; index++)
          assert.ok(flat[index]! > flat[index - 1]!);
        const again = new AckState(acks.floor, acks.ranges);
        assert.deepEqual(again.ranges, acks.ranges);
      }),
    );
  });
});
