/**
 * Routes and the index of patterns against matchers that look at everything: random definitions,
 * removals, crashes and addresses of all spellings.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rig } from '../broker.rig.ts';
import { type SeededRandom, seededRandom } from '../seeded-random.rig.ts';
import { type Address, addressOfLevels, flatAddress } from './address.ts';
import { MatchIndex } from './match-index.ts';
import {
  matches,
  type Pattern,
  plainDotPattern,
  slashPattern,
  strictDotPattern,
} from './pattern.ts';
import type { Home, Route } from './routes.ts';

const WORDS = ['a', 'b', 'c', 'a.b', '', '$x', '_INBOX', 'a/b', '+', '#', '*', '>', ' '];
const STREAMS = ['a', 'b', 'a.b', 'a.b.c', 'target', 'other', '/'];

function randomAddress(random: SeededRandom): Address {
  while (true) {
    const levels = Array.from({ length: 1 + random.below(4) }, () => random.pick(WORDS));
    const address =
      levels.length === 1
        ? flatAddress(levels[0]!)
        : addressOfLevels(levels, random.below(2) === 0);
    if (address.text !== '') return address;
  }
}

function slashText(random: SeededRandom): string {
  const levels = Array.from({ length: 1 + random.below(4) }, () =>
    random.below(3) === 0 ? '+' : random.pick(['a', 'b', 'c', 'a.b', '', '$x']),
  );
  if (random.below(3) === 0) levels.push('#');
  return levels.join('/');
}

function randomPattern(random: SeededRandom): Pattern {
  while (true) {
    const words = Array.from({ length: 1 + random.below(4) }, () =>
      random.pick(['a', 'b', 'c', '*', '#', '>', '$x']),
    );
    const kind = random.below(3);
    if (kind === 0) return plainDotPattern(words.join('.'));
    const pattern =
      kind === 1 ? strictDotPattern(words.join('.')) : slashPattern(slashText(random));
    if (pattern !== null) return pattern;
  }
}

/** What the index should say of one pattern, by its definition. */
function seenBy(pattern: Pattern, address: Address): 'alias' | 'match' | null {
  const words = pattern.form === 'slash' ? address.text.split('/') : address.words;
  if (matches(pattern, words)) return 'match';
  const { flatName } = address;
  const aliased = pattern.form === 'slash' && pattern.exact && address.dotted && !address.flat;
  return aliased && flatName !== null && pattern.parts.join('/') === flatAddress(flatName).text
    ? 'alias'
    : null;
}

describe('the index of patterns against a model', () => {
  for (let seed = 1; seed <= 10; seed++) {
    it(`finds what a search one by one finds: seed ${seed} X1 X2 R35`, () => {
      const random = seededRandom(seed);
      const index = new MatchIndex<number>();
      const model: { readonly pattern: Pattern; readonly value: number }[] = [];
      for (let step = 0; step < 2000; step++) {
        const chance = random.below(10);
        if (chance < 3) {
          const entry = { pattern: randomPattern(random), value: step };
          assert.ok(index.add(entry.pattern, entry.value));
          assert.equal(index.add(entry.pattern, entry.value), false);
          model.push(entry);
        } else if (chance < 5 && model.length > 0) {
          const [entry] = model.splice(random.below(model.length), 1);
          assert.ok(index.remove(entry!.pattern, entry!.value));
          assert.equal(index.remove(entry!.pattern, entry!.value), false);
        } else {
          const address = randomAddress(random);
          const found: string[] = [];
          index.match(address, (value, alias) => {
            found.push(`${value} ${alias ? 'alias' : 'match'}`);
          });
          const wanted = model.flatMap(({ pattern, value }) => {
            const how = seenBy(pattern, address);
            return how === null ? [] : [`${value} ${how}`];
          });
          assert.deepEqual(found.sort(), wanted.sort(), address.text);
        }
        assert.equal(index.size, model.length);
      }
    });
  }
});

class Model {
  readonly routes = new Map<string, Route>();
  readonly streams = new Set<string>();

  /** Name of the home, or what would be created; null: nowhere. */
  home(address: Address, rule: 'first-level' | 'captured'): string | null {
    if (address.reserved) return null;
    const fitting = [...this.routes.values()].filter((route) => {
      const how = seenBy(slashPattern(route.pattern)!, address);
      return how !== null;
    });
    fitting.sort((x, y) => y.pattern.length - x.pattern.length || (x.name < y.name ? -1 : 1));
    if (fitting[0] !== undefined) return fitting[0].stream;
    const { flatName } = address;
    if (flatName !== null && this.streams.has(flatName)) return flatName;
    if (rule === 'captured') return null;
    const first = address.levels[0]!;
    if (address.flat) return first === '' || /^(__|\$|amq\.|mq9\.)/.test(first) ? null : first;
    const name = first === '' ? '/' : first;
    return /^(__|\$|amq\.|mq9\.)/.test(name) ? null : name;
  }
}

function nameOf(home: Home): string | null {
  return home.stream?.name ?? home.create;
}

describe('routes against a model', () => {
  for (let seed = 1; seed <= 6; seed++) {
    it(`gives every address the home of its definition: seed ${seed} R35`, async () => {
      const random = seededRandom(seed);
      const rig = new Rig(seededRandom(seed));
      await rig.open();
      const model = new Model();
      for (let step = 0; step < 600; step++) {
        const chance = random.below(100);
        if (chance < 12) {
          const name = `r${random.below(12)}`;
          const pattern = slashText(random);
          if (slashPattern(pattern) === null || pattern.startsWith('$')) continue;
          const key = random.below(2) === 0 ? 'none' : 'address';
          const route: Route = { name, pattern, stream: random.pick(STREAMS), key };
          rig.broker.routes.put(route);
          model.routes.set(name, route);
        } else if (chance < 18) {
          const name = `r${random.below(12)}`;
          rig.broker.routes.remove(name);
          model.routes.delete(name);
        } else if (chance < 22) {
          const name = random.pick(STREAMS);
          if (model.streams.has(name)) rig.broker.streams.remove(rig.broker.streams.get(name)!);
          else rig.broker.streams.create(name);
          if (!model.streams.delete(name)) model.streams.add(name);
        } else if (chance < 23) {
          await rig.broker.definitions.durable();
          await rig.crash();
        } else {
          const address = randomAddress(random);
          for (const rule of ['first-level', 'captured'] as const) {
            const home = rig.broker.routes.home(address, rule);
            assert.equal(nameOf(home), model.home(address, rule), `${rule} ${address.text}`);
          }
        }
      }
      assert.equal([...rig.broker.routes.list()].length, model.routes.size);
      await rig.close();
    });
  }
});
