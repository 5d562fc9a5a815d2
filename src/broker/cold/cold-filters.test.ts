import assert from 'node:assert/strict';
import test from 'node:test';
import { slashSpelling, strictDotSpelling } from '../addresses/address.ts';
import { matches, slashPattern } from '../addresses/pattern.ts';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import { ByteArena } from './byte-arena.ts';
import { ColdFilters } from './cold-filters.ts';
import { TextTable } from './text-table.ts';

function ownersOf(filters: ColdFilters, topic: string): string[] {
  const found: string[] = [];
  filters.match(slashSpelling.parse(topic), (filter) => {
    for (let row = filters.first(filter); row !== 0; row = filters.next(row)) {
      found.push(`${filters.ownerOf(row)}:${filters.optionsOf(row)}`);
    }
  });
  return found.sort();
}

test('an arena gives places of removed texts to texts of about their size', () => {
  const arena = new ByteArena();
  const places = Array.from({ length: 50_000 }, (_, n) =>
    arena.add(`text number ${n} ${'ä'.repeat(n % 30)}`),
  );
  const { bytes } = arena;
  for (let round = 0; round < 3; round++) {
    for (const [n, place] of places.entries()) {
      assert.equal(arena.get(place), `text number ${n} ${'ä'.repeat(n % 30)}`);
    }
    for (const place of places) arena.remove(place);
    for (let n = 0; n < places.length; n++) {
      places[n] = arena.add(`text number ${n} ${'ä'.repeat(n % 30)}`);
    }
  }
  assert.equal(arena.bytes, bytes);
});

test('a table finds texts by random insertions and removals as a map does', () => {
  const random = seededRandom(7);
  const table = new TextTable();
  const model = new Map<string, number>();
  for (let step = 0; step < 40_000; step++) {
    const text = `client-${Math.floor(random.next() * 3000)}`;
    const known = model.get(text);
    assert.equal(table.find(text), known ?? -1);
    if (known === undefined) model.set(text, table.add(text));
    else if (random.next() < 0.6) {
      table.remove(known);
      model.delete(text);
    }
  }
  assert.equal(table.size, model.size);
  for (const [text, number] of model) assert.equal(table.textOf(number), text);
});

const LEVELS = ['a', 'b', '', '$x', 'ö', '_INBOX'];

function randomFilter(random: SeededRandom): string {
  const count = 1 + Math.floor(random.next() * 4);
  const levels = Array.from({ length: count }, (_, index) => {
    const dice = random.next();
    if (dice < 0.25) return '+';
    if (dice < 0.4 && index === count - 1) return '#';
    return LEVELS[Math.floor(random.next() * LEVELS.length)]!;
  });
  return levels.join('/') || '/';
}

test('cold filters match what patterns match, through random changes M198', () => {
  const random = seededRandom(11);
  const filters = new ColdFilters();
  const owned = new Map<number, { filter: string; options: number }[]>();
  for (let step = 0; step < 6000; step++) {
    const owner = Math.floor(random.next() * 60);
    if (owned.has(owner)) {
      filters.remove(owner);
      owned.delete(owner);
    } else {
      const mine = new Map<string, number>();
      for (let n = random.next() * 5; n > 0; n--) mine.set(randomFilter(random), 1 + (step % 7));
      owned.set(
        owner,
        [...mine].map(([filter, options]) => ({ filter, options })),
      );
      for (const [filter, options] of mine) filters.add(owner, slashPattern(filter)!, options);
    }
    if (step % 3 !== 0) continue;
    const topic = randomFilter(random).replaceAll('+', 'a').replaceAll('#', 'b');
    const expected: string[] = [];
    for (const [each, mine] of owned) {
      for (const { filter, options } of mine) {
        if (matches(slashPattern(filter)!, topic.split('/'))) expected.push(`${each}:${options}`);
      }
    }
    assert.deepEqual(ownersOf(filters, topic), expected.sort(), topic);
  }
  for (const owner of owned.keys()) filters.remove(owner);
  assert.equal(filters.size, 0);
});

test('an exact cold filter sees a dotted address by its flat name, and says so M198', () => {
  const filters = new ColdFilters();
  filters.add(1, slashPattern('a.b.c')!, 1);
  const found: boolean[] = [];
  filters.match(strictDotSpelling.parse('a.b.c'), (_, alias) => found.push(alias));
  assert.deepEqual(found, [true]);
});

test('one shape too many is not taken, so a match stays flat', () => {
  const filters = new ColdFilters();
  let taken = 0;
  for (let n = 0; n < 100; n++) {
    const levels = Array.from({ length: 8 }, (_, bit) => ((n >>> bit) & 1 ? '+' : 'x'));
    const pattern = slashPattern(`+/${levels.join('/')}`)!;
    if (!filters.takes(pattern)) continue;
    filters.add(n, pattern, 1);
    taken++;
  }
  assert.equal(taken, 64);
});
