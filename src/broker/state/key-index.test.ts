import assert from 'node:assert/strict';
import test from 'node:test';
import { OrderedMap } from '#kit';
import { seededRandom } from '../seeded-random.rig.ts';
import { KeyIndex } from './key-index.ts';

const LEVELS = ['', 'a', 'aa', 'ab', 'a!', 'é', '\ufffd', '\u{1f600}', '\u0001', 'x'.repeat(200)];

for (let seed = 1; seed <= 4; seed++) {
  test(`an index of keys says what an ordered map says: seed ${seed} M118`, () => {
    const random = seededRandom(seed);
    const index = new KeyIndex();
    const model = new OrderedMap<number>();
    // Few keys change often; with many the leaves split and empty.
    const levels = seed % 2 === 0 ? 3 : 6;
    const keyOf = (): string => {
      const words = Array.from({ length: 1 + random.below(levels) }, () => random.pick(LEVELS));
      return words.join('\0');
    };
    for (let step = 0; step < 20_000; step++) {
      const key = keyOf();
      const dice = random.below(step < 10_000 ? 10 : 20);
      if (dice < 6) {
        const offset = step * 2 ** 27;
        index.set(key, offset, step);
        model.set(key, offset);
      } else if (dice < 16) {
        const one = model.keys(key, null, 1)[0] ?? key;
        assert.equal(index.delete(one), model.delete(one));
      } else {
        assert.equal(index.find(key) ? index.offset : undefined, model.get(key));
        const before = random.below(3) === 0 ? null : keyOf();
        const limit = 1 + random.below(300);
        const found = index.range(key, before, limit);
        const wanted = model.keys(key, before, limit);
        assert.deepEqual(
          found.map((one) => one.key),
          wanted,
        );
        for (const { key: name, offset, size } of found) {
          assert.equal(offset, model.get(name));
          assert.equal(size * 2 ** 27, offset);
        }
      }
      assert.equal(index.count, model.size);
    }
    for (const key of model.keys('', null, Number.POSITIVE_INFINITY)) {
      assert.ok(index.find(key));
      assert.ok(index.delete(key));
    }
    assert.equal(index.count, 0);
    assert.deepEqual(index.range('', null, 1), []);
  });
}

test('keys longer than an address may be, and of one letter, stand beside each other M118', () => {
  const index = new KeyIndex();
  const keys = ['a', 'b'.repeat(70_000), 'b'.repeat(70_001), 'ü'.repeat(60_000), 'z'];
  for (const [n, key] of keys.entries()) index.set(key, n, n);
  for (const [n, key] of keys.entries()) assert.ok(index.find(key) && index.offset === n);
  assert.deepEqual(
    index.range('', null, 10).map(({ key }) => key),
    ['a', keys[1], keys[2], 'z', keys[3]],
  );
});

test('a hundred thousand topics take less than 50 bytes each, and an estimate is near M118', () => {
  const index = new KeyIndex();
  for (let n = 0; n < 100_000; n++) index.set(`site\0${n % 100}\0device\0${n}\0state`, n, 100);
  assert.ok(index.bytes / index.count < 50, `${index.bytes / index.count}`);
  const site = index.estimate('site\x007', 'site\x007\u0001');
  assert.ok(site > 500 && site < 2000, `${site}`);
  assert.equal(index.estimate('', null), 100_000);
  assert.ok(index.sample('', null, 64).length >= 64);
});
