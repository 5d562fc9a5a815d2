import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { openMemoryStore } from '#meta';
import { TimeBench } from './time-engine.rig.ts';

const TEXT = (text: string) => Buffer.from(text);

describe('time engine', () => {
  it('gives entries in the order of their time, at their time X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    bench.time.set('k', 'late', bench.nowMs + 5000, TEXT('l'));
    bench.time.set('k', 'soon', bench.nowMs + 1000, TEXT('s'));
    bench.time.set('other', 'unheard', bench.nowMs + 10, TEXT('u'));
    await bench.pass(999);
    assert.deepEqual(bench.given, []);
    await bench.pass(1);
    assert.deepEqual(bench.given, ['soon=s']);
    await bench.pass(4100);
    assert.deepEqual(bench.given, ['soon=s', 'late=l']);
    assert.equal(bench.time.count('k'), 0);
    assert.equal(bench.time.count('other'), 1);
    await bench.close();
  });

  it('moves, cancels, finds, lists and counts entries X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    const { time } = bench;
    for (let n = 0; n < 5; n++) time.set('k', `e${n}`, bench.nowMs + 1000 + n, TEXT(`${n}`));
    const made = time.add('k', bench.nowMs + 1002, TEXT('made'));
    time.set('k', 'e0', bench.nowMs + 9000, TEXT('moved'));
    assert.equal(time.cancel('k', 'e1'), true);
    assert.equal(time.cancel('k', 'e1'), false);
    assert.equal(time.cancel('k', 'never'), false);
    assert.equal(time.get('k', made)?.value.toString(), 'made');
    assert.equal(time.count('k'), 5);
    const first = await time.list('k', 2);
    assert.deepEqual(
      first.map(({ id }) => id),
      [made, 'e2'],
    );
    const rest = await time.list('k', 9, first[1]);
    assert.deepEqual(
      rest.map(({ id, dueMs }) => [id, dueMs - bench.nowMs]),
      [
        ['e3', 1003],
        ['e4', 1004],
        ['e0', 9000],
      ],
    );
    assert.equal(time.cancel('k', made), true);
    await bench.pass(20_000);
    assert.deepEqual(bench.given, ['e2=2', 'e3=3', 'e4=4', 'e0=moved']);
    await bench.close();
  });

  it('keeps those that were added for one moment in their order X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    for (let n = 0; n < 3000; n++) bench.time.add('k', bench.nowMs + 100, TEXT(`${n}`));
    await bench.pass(100);
    await bench.settle();
    assert.deepEqual(
      bench.given.map((text) => Number(text.split('=')[1])),
      Array.from({ length: 3000 }, (_, n) => n),
    );
    await bench.close();
  });

  it('gives what fell due while nobody listened, also over a crash X69', async () => {
    const bench = await TimeBench.open();
    bench.time.set('k', 'a', bench.nowMs + 1000, TEXT('1'));
    bench.time.set('k', 'b', bench.nowMs + 90_000, TEXT('2'));
    await bench.committed();
    await bench.crash();
    await bench.pass(5000);
    bench.register('k');
    await bench.settle();
    assert.deepEqual(bench.given, ['a=1']);
    await bench.crash();
    bench.register('k');
    await bench.pass(90_000);
    assert.deepEqual(bench.given, ['a=1', 'b=2']);
    await bench.close();
  });

  it('ends an entry together with what its handler sets, or not at all X69', async () => {
    const bench = await TimeBench.open();
    bench.time.set('k', 'a', bench.nowMs + 10, TEXT('1'));
    await bench.committed();
    bench.time.register('k', () => bench.state.put('effect', 'a', TEXT('x')));
    // The disk takes nothing more: neither the end nor the effect survives.
    bench.files.fault = () => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    await bench.pass(50);
    bench.files.fault = null;
    await bench.crash();
    assert.equal(bench.time.count('k'), 1);
    assert.equal(bench.state.get('effect', 'a'), undefined);
    bench.time.register('k', () => bench.state.put('effect', 'a', TEXT('x')));
    await bench.settle();
    await bench.committed();
    await bench.crash();
    assert.equal(bench.time.count('k'), 0);
    assert.equal(bench.state.get('effect', 'a')?.toString(), 'x');
    await bench.close();
  });

  it('asks a handler without room again, and ends what a handler refuses X69', async () => {
    const bench = await TimeBench.open();
    const asked: string[] = [];
    bench.time.register('k', ({ id }) => {
      asked.push(id);
      if (id === 'busy' && asked.length < 3) throw new BrokerError('busy');
      if (id === 'wrong') throw new BrokerError('not-authorized');
    });
    bench.time.set('k', 'busy', bench.nowMs + 1, TEXT(''));
    bench.time.set('k', 'wrong', bench.nowMs + 2, TEXT(''));
    await bench.pass(10);
    await bench.settle();
    assert.deepEqual(asked, ['busy', 'busy', 'busy', 'wrong']);
    assert.equal(bench.time.count('k'), 0);
    await bench.close();
  });

  it('follows a clock that is set forwards or backwards X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    bench.time.set('k', 'a', bench.nowMs + 60_000, TEXT('1'));
    bench.time.set('k', 'b', bench.nowMs + 120_000, TEXT('2'));
    await bench.pass(1000);
    bench.jump(-30_000);
    await bench.pass(60_000);
    assert.deepEqual(bench.given, [], 'not before its time by the clock');
    await bench.pass(29_000);
    assert.deepEqual(bench.given, ['a=1']);
    bench.jump(50_000);
    // Noticed at the next check of the clock, and not only after the old time has passed.
    await bench.pass(20_000);
    assert.deepEqual(bench.given, ['a=1', 'b=2']);
    await bench.close();
  });

  it('notices a clock that was set as soon as something is set X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    bench.time.set('k', 'a', bench.nowMs + 60_000, TEXT('1'));
    await bench.pass(100);
    bench.jump(60_000);
    bench.time.set('k', 'later', bench.nowMs + 500_000, TEXT(''));
    await bench.settle();
    assert.deepEqual(bench.given, ['a=1']);
    await bench.close();
  });

  it('arms one timer, and none when nothing is pending X69', async () => {
    const bench = await TimeBench.open();
    bench.register('k');
    for (let n = 0; n < 100; n++) bench.time.set('k', `${n}`, bench.nowMs + 1000 + n, TEXT(''));
    assert.equal(bench.armed.size, 1);
    for (let n = 0; n < 100; n++) bench.time.cancel('k', `${n}`);
    await bench.pass(30_000);
    assert.equal(bench.armed.size, 0);
    await bench.close();
  });

  it('gives a burst in slices, and waits for commits between them X69 R39', async () => {
    const bench = await TimeBench.open();
    const count = 20_000;
    let [fired, inTurn, inTurnMax, ahead, aheadMax] = [0, 0, 0, 0, 0];
    for (let n = 0; n < count; n++) bench.time.add('k', bench.nowMs + 10, TEXT(''));
    await bench.committed();
    bench.time.register('k', () => {
      fired++;
      ahead++;
      inTurnMax = Math.max(inTurnMax, ++inTurn);
      aheadMax = Math.max(aheadMax, ahead);
      const sofar = fired;
      if (sofar % 100 === 0)
        bench.state.committed(() => {
          ahead = fired - sofar;
        });
    });
    bench.jump(10);
    bench.time.set('k', 'wake', bench.nowMs + 1e6, TEXT(''));
    while (fired < count) {
      inTurn = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(inTurnMax <= 256, `${inTurnMax} in one turn`);
    assert.ok(aheadMax <= 4096 + 256, `${aheadMax} not committed`);
    await bench.committed();
    await bench.crash();
    assert.equal(bench.time.count('k'), 1);
    await bench.close();
  });

  it('starts from the catalogue after a stop in order X69', async () => {
    const meta = openMemoryStore();
    const bench = await TimeBench.open({ meta });
    for (let n = 0; n < 5000; n++) bench.time.set('k', `${n}`, bench.nowMs + 1000, TEXT(''));
    await bench.committed();
    await bench.restart();
    assert.equal(bench.time.count('k'), 5000);
    assert.equal(bench.state.held.rows, 0);
    bench.register('k');
    await bench.pass(1000);
    await bench.settle();
    assert.equal(new Set(bench.given).size, 5000);
    assert.equal(bench.time.count('k'), 0);
    await bench.close();
  });
});
