import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LateIndex } from './late-index.ts';

interface Thing {
  readonly name: string;
  readonly key: string | null;
}

const step = fc.record({
  does: fc.constantFrom('add', 'remove', 'find'),
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  key: fc.constantFrom(null, 'x', 'y'),
});

test('an index that is made late finds what one that was kept from the beginning finds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(5), (steps, before) => {
      const all = new Map<string, Thing>();
      for (let index = 0; index < before; index++) {
        all.set(`old ${index}`, { name: `old ${index}`, key: index % 2 === 0 ? 'x' : null });
      }
      const index = new LateIndex(all.values(), ({ key }) => key);
      for (const { does, name, key } of steps) {
        const known = all.get(name);
        if (does === 'add' && known === undefined) {
          const thing = { name, key };
          all.set(name, thing);
          index.added(thing);
        } else if (does === 'remove' && known !== undefined) {
          all.delete(name);
          index.removed(known);
        } else if (does === 'find' && key !== null) {
          const expected = known?.key === key ? known : undefined;
          assert.equal(
            index.find(key, (thing) => thing.name === name),
            expected,
          );
        }
      }
      for (const thing of all.values()) {
        const { key } = thing;
        if (key === null) continue;
        assert.equal(
          index.find(key, (other) => other === thing),
          thing,
        );
      }
    }),
  );
});
