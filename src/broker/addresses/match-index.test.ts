import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Address, flatAddress, slashSpelling, strictDotSpelling } from './address.ts';
import { MatchIndex } from './match-index.ts';
import {
  matches,
  type Pattern,
  plainDotPattern,
  slashPattern,
  strictDotPattern,
} from './pattern.ts';

function found(index: MatchIndex<string>, address: Address): string[] {
  const names: string[] = [];
  index.match(address, (value, alias) => names.push(alias ? `${value} (alias)` : value));
  return names.sort();
}

function indexOf(patterns: Record<string, Pattern | null>): MatchIndex<string> {
  const index = new MatchIndex<string>();
  for (const [name, pattern] of Object.entries(patterns)) index.add(pattern!, name);
  return index;
}

describe('the index of patterns', () => {
  it('# matches the parent, > does not X1', () => {
    const index = indexOf({ hash: slashPattern('a/#'), rest: strictDotPattern('a.>') });
    assert.deepEqual(found(index, slashSpelling.parse('a')), ['hash']);
    assert.deepEqual(found(index, slashSpelling.parse('a/b')), ['hash', 'rest']);
    assert.deepEqual(found(index, strictDotSpelling.parse('a.b.c')), ['hash', 'rest']);
  });

  it('first-level wildcards do not see $ addresses, unless the dotted > of the strict form X3', () => {
    const index = indexOf({
      all: slashPattern('#'),
      plus: slashPattern('+/x'),
      sys: slashPattern('$SYS/#'),
      rest: strictDotPattern('>'),
      words: plainDotPattern('#'),
    });
    assert.deepEqual(found(index, slashSpelling.parse('$SYS/x')), ['rest', 'sys']);
    assert.deepEqual(found(index, slashSpelling.parse('y/x')), ['all', 'plus', 'rest', 'words']);
  });

  it('a dotted address reaches the exact flat filter as an alias, wildcards only as levels', () => {
    const index = indexOf({
      flat: slashPattern('a.b.c'),
      levels: slashPattern('a/b/c'),
      wild: slashPattern('a/+/c'),
      one: slashPattern('+'),
      dots: strictDotPattern('a.*.c'),
    });
    assert.deepEqual(found(index, strictDotSpelling.parse('a.b.c')), [
      'dots',
      'flat (alias)',
      'levels',
      'wild',
    ]);
    assert.deepEqual(found(index, flatAddress('a.b.c')), ['dots', 'flat', 'one']);
    assert.deepEqual(found(index, slashSpelling.parse('a/b/c')), ['dots', 'levels', 'wild']);
  });

  it('# of dotted keys stands anywhere and matches no word as well A60', () => {
    const index = indexOf({ middle: plainDotPattern('a.#.z'), twice: plainDotPattern('#.b.#') });
    assert.deepEqual(found(index, strictDotSpelling.parse('a.z')), ['middle']);
    assert.deepEqual(found(index, strictDotSpelling.parse('a.b.z')), ['middle', 'twice']);
    assert.deepEqual(found(index, strictDotSpelling.parse('b')), ['twice']);
  });

  it('refuses wildcards that do not stand alone or not last [MQTT-4.7.1-1] M103', () => {
    for (const bad of ['a/#/b', 'a+', 'a/b#', '+a/b', ''])
      assert.equal(slashPattern(bad), null, bad);
    for (const bad of ['a..b', '.a', 'a.>.b', 'a b'])
      assert.equal(strictDotPattern(bad), null, bad);
  });

  it('agrees with matching one pattern at a time, after random additions and removals', () => {
    const level = fc.constantFrom('a', 'b', '', '$x', 'c.d');
    const part = fc.oneof(level, fc.constant('+'));
    const filter = fc
      .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([parts, rest]) => (rest ? [...parts, '#'] : parts).join('/'))
      .filter((text) => text !== '');
    const key = fc
      .array(fc.constantFrom('a', 'b', '*', '#', ''), { minLength: 1, maxLength: 5 })
      .map((words) => words.join('.'));
    const pattern = fc.oneof(
      filter.map((f) => slashPattern(f)!),
      key.map(plainDotPattern),
    );
    const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 30 }),
        topic,
        (steps, text) => {
          const index = new MatchIndex<Pattern>();
          for (const [one] of steps) index.add(one, one);
          for (const [one, remove] of steps) if (remove) index.remove(one, one);
          const address = slashSpelling.parse(text);
          const got = new Set<Pattern>();
          index.match(address, (value) => {
            assert.ok(!got.has(value), 'found once');
            got.add(value);
          });
          for (const [one, removed] of steps) {
            const words = one.form === 'slash' ? text.split('/') : address.words;
            assert.equal(got.has(one), !removed && matches(one, words), `${one.text} on ${text}`);
          }
        },
      ),
      { numRuns: 5_000 },
    );
  });
});
