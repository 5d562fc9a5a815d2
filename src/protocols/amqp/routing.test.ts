import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exchange, type ExchangeFacts, Router } from './exchange.ts';
import { EMPTY_TABLE, type Table, textEntry } from './field-table.ts';
import type { ExchangeType } from './matchers.ts';

class TestQueue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

type TestExchange = Exchange<TestQueue>;

class World {
  readonly exchanges = new Map<string, TestExchange>();
  readonly queues = new Map<string, TestQueue>();
  readonly router = new Router<TestQueue>(
    {
      exchange: (name) => this.exchanges.get(name),
      queueNamed: (name) => this.queues.get(name),
    },
    (destination) => destination instanceof Exchange,
  );

  exchange(name: string, type: ExchangeType, more: Partial<ExchangeFacts> = {}): TestExchange {
    const exchange: TestExchange = new Exchange({
      name,
      type,
      durable: false,
      autoDelete: false,
      internal: false,
      arguments: EMPTY_TABLE,
      alternate: '',
      ...more,
    });
    this.exchanges.set(name, exchange);
    return exchange;
  }

  queue(name: string): TestQueue {
    const known = this.queues.get(name) ?? new TestQueue(name);
    this.queues.set(name, known);
    return known;
  }

  bind(source: TestExchange, to: TestQueue | TestExchange, key: string, args: Table = []) {
    const binding = { source, destination: to, key, arguments: args };
    source.add(binding);
    return binding;
  }

  route(exchange: TestExchange, key: string, headers: Table = EMPTY_TABLE): string[] {
    return [...this.router.route(exchange, key, headers)].map((queue) => queue.name).sort();
  }
}

test('a direct exchange compares whole keys, a fanout none, the default one names queues A60', () => {
  const world = new World();
  const direct = world.exchange('d', 'direct');
  const fanout = world.exchange('f', 'fanout');
  const standard = world.exchange('', 'direct');
  world.bind(direct, world.queue('a'), 'one');
  world.bind(direct, world.queue('b'), 'one');
  world.bind(direct, world.queue('b'), 'two');
  world.bind(fanout, world.queue('c'), 'ignored');
  assert.deepEqual(world.route(direct, 'one'), ['a', 'b']);
  assert.deepEqual(world.route(direct, 'on'), []);
  assert.deepEqual(world.route(fanout, 'x'), ['c']);
  assert.deepEqual(world.route(standard, 'b'), ['b']);
});

/** Written from the rules alone, to compare with the trie. */
function fits(pattern: readonly string[], words: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return words.length === 0;
  if (head === '#') {
    for (let skip = 0; skip <= words.length; skip++) if (fits(rest, words.slice(skip))) return true;
    return false;
  }
  if (words.length === 0) return false;
  return (head === '*' || head === words[0]) && fits(rest, words.slice(1));
}

test('topic patterns match words as the rules say, over all small patterns and keys A60', () => {
  const world = new World();
  const topic = world.exchange('t', 'topic');
  const words = ['a', 'b', '*', '#', ''];
  const patterns: string[] = [];
  for (const one of words) {
    patterns.push(one);
    for (const two of words) {
      patterns.push(`${one}.${two}`);
      for (const three of words) patterns.push(`${one}.${two}.${three}`);
    }
  }
  for (const pattern of patterns) world.bind(topic, world.queue(pattern), pattern);
  for (const key of ['', 'a', 'b', 'a.b', 'a.a', 'a.', '.b', 'a.b.c', 'a.b.a', 'b.a.a.b', '..']) {
    const expected = patterns.filter((p) => fits(p.split('.'), key.split('.')));
    assert.deepEqual(world.route(topic, key), [...new Set(expected)].sort(), key);
  }
});

test('a topic binding that is removed matches no more and leaves its neighbours A60', () => {
  const world = new World();
  const topic = world.exchange('t', 'topic');
  const long = world.bind(topic, world.queue('long'), 'a.#.b');
  world.bind(topic, world.queue('short'), 'a.#');
  topic.remove(long);
  assert.deepEqual(world.route(topic, 'a.x.b'), ['short']);
});

test('a pattern of many # is answered in time and not by trying all ways A60', () => {
  const world = new World();
  const topic = world.exchange('t', 'topic');
  world.bind(topic, world.queue('q'), `${'#.a.'.repeat(40)}b`);
  const started = performance.now();
  assert.deepEqual(world.route(topic, `${'a.'.repeat(120)}c`), []);
  assert.ok(performance.now() - started < 500);
});

test('headers exchanges join by all and any, void asks for presence, x- only with-x A60', () => {
  const world = new World();
  const headers = world.exchange('h', 'headers');
  const bind = (name: string, how: string, ...table: Table) =>
    world.bind(headers, world.queue(name), '', [textEntry('x-match', how), ...table]);
  bind('all', 'all', textEntry('a', '1'), textEntry('b', '2'), textEntry('x-c', 'no'));
  bind('any', 'any', textEntry('a', '1'), textEntry('b', '2'));
  bind('with-x', 'all-with-x', textEntry('x-c', 'yes'));
  bind('presence', 'all', { name: 'n', type: 'V', value: null });
  bind('number', 'all', { name: 'n', type: 'I', value: 5 });
  assert.deepEqual(world.route(headers, '', [textEntry('a', '1')]), ['any']);
  assert.deepEqual(world.route(headers, '', [textEntry('a', '1'), textEntry('b', '2')]), [
    'all',
    'any',
  ]);
  assert.deepEqual(world.route(headers, '', [textEntry('x-c', 'yes')]), ['with-x']);
  assert.deepEqual(world.route(headers, '', [{ name: 'n', type: 'l', value: 5n }]), [
    'number',
    'presence',
  ]);
  assert.equal(world.router.viaHeaders, true);
});

test('exchanges bound to each other in a loop give each queue once A61', () => {
  const world = new World();
  const one = world.exchange('one', 'fanout');
  const two = world.exchange('two', 'topic');
  world.bind(one, two, '');
  world.bind(two, one, '#');
  world.bind(one, world.queue('q'), '');
  world.bind(two, world.queue('q'), 'k');
  assert.deepEqual(world.route(one, 'k'), ['q']);
  assert.deepEqual(world.route(two, 'k'), ['q']);
});

test('an alternate exchange gets what matched no binding, and only that A62', () => {
  const world = new World();
  const main = world.exchange('main', 'direct', { alternate: 'rest' });
  const rest = world.exchange('rest', 'fanout', { alternate: 'main' });
  world.bind(main, world.queue('known'), 'k');
  world.bind(rest, world.queue('unknown'), '');
  assert.deepEqual(world.route(main, 'k'), ['known']);
  assert.deepEqual(world.route(main, 'x'), ['unknown']);
  world.exchange('lost', 'fanout', { alternate: 'missing' });
  assert.deepEqual(world.route(world.exchanges.get('lost')!, 'x'), []);
});
