import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog, type Timers } from '#kit';
import { openMemoryStore } from '#meta';
import { Definitions } from './definitions.ts';

/** Nothing comes by itself: what is flushed was asked for. */
const timers: Timers = { after: () => ({ cancel() {} }), soon() {} };

for (const [kind, where] of [
  ['route', 'here'],
  ['stream', 'at its owner'],
] as const) {
  test(`a kind that is held ${where} shows each change at once and after a start`, async () => {
    const meta = openMemoryStore();
    const first = await Definitions.open(meta, timers, silentLog);
    const told: [string, unknown][] = [];
    first.watch(kind, (name, value) => told.push([name, value]));
    first.put(kind, 'b', { n: 1 });
    first.put(kind, 'a', { n: 2 });
    first.put(kind, 'b', { n: 3 });
    assert.deepEqual(first.get(kind, 'b'), { n: 3 });
    first.remove(kind, 'a');
    assert.equal(first.get(kind, 'a'), undefined);
    assert.deepEqual([...first.list(kind)], [['b', { n: 3 }]]);
    assert.deepEqual(told.at(-1), ['a', undefined]);
    await first.durable();
    const second = await Definitions.open(meta, timers, silentLog);
    assert.deepEqual([...second.list(kind)], [['b', { n: 3 }]]);
    assert.deepEqual([...second.list('nothing')], []);
  });
}
