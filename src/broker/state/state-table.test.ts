import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { type MetaStore, openMemoryStore } from '#meta';
import { TimeBench } from '../time/time-engine.rig.ts';
import { coldKind, type StateLimits } from './state-store.ts';

const COLD = coldKind('c');
const SMALL: StateLimits = { pieceRows: 10, pieceBytes: 1 << 20, heldRows: 50, heldBytes: 1 << 20 };
const bytes = (text: string) => Buffer.from(text);

/** A catalogue that counts its transactions and can refuse them. */
function watched(): { meta: MetaStore; writes: () => number; fault: (on: boolean) => void } {
  const meta = openMemoryStore();
  const write = meta.write.bind(meta);
  let [count, broken] = [0, false];
  meta.write = (changes, relaxed) => {
    count++;
    if (broken) return Promise.reject(new BrokerError('storage-full'));
    return write(changes, relaxed);
  };
  return {
    meta,
    writes: () => count,
    fault: (on) => {
      broken = on;
    },
  };
}

function fate(bench: TimeBench): Promise<BrokerError | null> {
  return new Promise((resolve) => bench.state.committed(resolve));
}

describe('state table', () => {
  it('keeps little of a cold kind in memory, and finds all of it X69', async () => {
    const bench = await TimeBench.open({ limits: SMALL });
    for (let n = 0; n < 1000; n++) {
      bench.state.put(COLD, `k${String(n).padStart(4, '0')}`, bytes(`${n}`));
      if (n % 50 === 0) await bench.committed();
    }
    await bench.committed();
    await bench.settle();
    assert.ok(bench.state.held.rows <= 50, `${bench.state.held.rows} rows in memory`);
    assert.equal(bench.state.count(COLD), 1000);
    assert.equal([...bench.state.scan(COLD)].length, 1000);
    const span = { from: 'k0100', before: 'k0103', rowsMax: 99 };
    assert.deepEqual(bench.state.keys(COLD, span), ['k0100', 'k0101', 'k0102']);
    await bench.crash();
    assert.equal(bench.state.count(COLD), 1000);
    assert.equal(bench.state.get(COLD, 'k0500')?.toString(), '500');
    await bench.close();
  });

  it('starts without a change that is damaged on disk, and with all others R34', async () => {
    const bench = await TimeBench.open({});
    for (const name of ['first', 'second', 'third']) {
      bench.state.put('kind', 'one key', bytes(`value ${name}`));
      bench.state.put('kind', name, bytes(`value ${name}`));
      await bench.committed();
    }
    await bench.crash((files) => {
      for (const path of files.paths.filter((name) => name.endsWith('.log'))) {
        const at = files.bytesOf(path).indexOf('value second');
        if (at >= 0) files.flip(path, at, 3);
      }
    });
    assert.equal(bench.state.get('kind', 'one key')?.toString(), 'value third');
    assert.equal(bench.state.get('kind', 'first')?.toString(), 'value first');
    assert.equal(bench.state.get('kind', 'third')?.toString(), 'value third');
    await bench.close();
  });

  it('writes nothing to the catalogue for what came and went X69', async () => {
    const { meta, writes } = watched();
    const bench = await TimeBench.open({ limits: SMALL, meta });
    await bench.committed();
    const before = writes();
    for (let n = 0; n < 500; n++) {
      bench.state.put(COLD, `k${n}`, bytes('v'));
      if (n % 10 === 9) await bench.committed();
      bench.state.delete(COLD, `k${n}`);
    }
    await bench.committed();
    assert.equal(writes(), before);
    assert.deepEqual([bench.state.count(COLD), bench.state.held.rows], [0, 0]);
    await bench.close();
  });

  it('goes on moving after a catalogue that could take nothing, and loses nothing X69', async () => {
    const { meta, fault } = watched();
    const bench = await TimeBench.open({ limits: SMALL, meta });
    fault(true);
    for (let n = 0; n < 100; n++) bench.state.put(COLD, `k${n}`, bytes('v'));
    await bench.committed();
    await bench.settle();
    assert.equal(bench.state.held.rows, 100);
    await assert.rejects(bench.engine.checkpoint());
    fault(false);
    await bench.pass(1000);
    await bench.settle();
    assert.ok(bench.state.held.rows <= 25, `${bench.state.held.rows} rows in memory`);
    await bench.crash();
    assert.equal(bench.state.count(COLD), 100);
    await bench.close();
  });

  it('gives all of a kind as texts, as they are now M198', async () => {
    const bench = await TimeBench.open();
    for (let n = 0; n < 20; n++) bench.state.put(COLD, `k${n}`, bytes(`v${n}`));
    await bench.committed();
    await bench.engine.checkpoint();
    for (let n = 0; n < 20; n += 3) bench.state.put(COLD, `k${n}`, bytes('newer'));
    for (let n = 1; n < 20; n += 3) bench.state.delete(COLD, `k${n}`);
    bench.state.put(COLD, 'new', bytes('v'));
    const rows = [...bench.state.scan(COLD)].map(([key, value]) => `${key} ${value}`);
    const found = [...bench.state.texts(COLD)].map(([key, text]) => `${key} ${text}`);
    assert.deepEqual(found.sort(), rows.sort());
    await bench.close();
  });

  it('stores what a full disk refused as soon as there is space R41', async () => {
    const bench = await TimeBench.open();
    bench.files.capacityBytes = bench.files.usedBytes;
    const value = Buffer.alloc(60_000, 'x');
    let refused = 0;
    for (let n = 0; n < 60; n++) {
      bench.state.put('hot', `k${n}`, Buffer.from(value));
      bench.state.put('hot', 'last', bytes(`${n}`));
      if ((await fate(bench)) !== null) refused++;
      if (refused === 3) break;
    }
    assert.ok(refused > 0, 'the disk was full');
    const count = bench.state.count('hot');
    bench.files.capacityBytes = Number.POSITIVE_INFINITY;
    await bench.pass(20_000);
    assert.equal(await fate(bench), null);
    const last = bench.state.get('hot', 'last')?.toString();
    await bench.crash();
    assert.equal(bench.state.count('hot'), count);
    assert.equal(bench.state.get('hot', 'last')?.toString(), last);
    await bench.close();
  });
});
