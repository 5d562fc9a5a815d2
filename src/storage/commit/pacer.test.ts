import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../limits.ts';
import { LANE } from '../segments/segment-codec.ts';
import { VirtualTime } from '../storage.fixture.ts';
import { Pacer, Stopped } from './pacer.ts';

function paced() {
  const time = new VirtualTime();
  const backlog = { pressure: 0, behind: false };
  const pacer = new Pacer({
    limits: DEFAULT_LIMITS,
    ...{ clock: time, timers: time },
    pressure: () => backlog.pressure,
    mergesAreBehind: () => backlog.behind,
  });
  return { time, backlog, pacer };
}

test('a merge gives way to level 1, and goes on when the backlog is told to be smaller', async () => {
  const { time, backlog, pacer } = paced();
  backlog.pressure = 0.5;
  let passed = false;
  const passing = pacer.pass(1, LANE.merge).then(() => {
    passed = true;
  });
  await time.advance(10_000);
  pacer.backlogChanged();
  await time.advance(10_000);
  assert.equal(passed, false, 'no time and no news without relief lets it go on');
  backlog.pressure = 0.1;
  await time.advance(10_000);
  assert.equal(passed, false, 'it looks when it is told to');
  pacer.backlogChanged();
  await time.until(passing);
});

test('merges that are far behind do not wait, and level 1 never does', async () => {
  const { time, backlog, pacer } = paced();
  backlog.pressure = 1;
  await time.until(pacer.pass(1, LANE.levelOne));
  backlog.behind = true;
  await time.until(pacer.pass(1, LANE.merge));
});

test('a stop ends merges that wait', async () => {
  const { backlog, pacer } = paced();
  backlog.pressure = 1;
  const passing = assert.rejects(pacer.pass(1, LANE.merge), Stopped);
  pacer.stop();
  await passing;
});

test('commits are slowed from half the backlog on, the more the fuller it is', () => {
  const delays = [0.4, 0.6, 0.9].map((pressure) => {
    const { backlog, pacer } = paced();
    backlog.pressure = pressure;
    return pacer.delayMs(16 << 20);
  });
  assert.equal(delays[0], 0);
  assert.ok(delays[1]! > 0 && delays[2]! > delays[1]!, delays.join(', '));
});

test('a lane rests three times as long as its step took, and not at all under pressure', async () => {
  const { time, backlog, pacer } = paced();
  await time.until(pacer.pass(1, LANE.levelOne));
  await time.advance(20);
  let passed = false;
  const passing = pacer.pass(1, LANE.levelOne).then(() => {
    passed = true;
  });
  await time.advance(58);
  assert.equal(passed, false);
  await time.advance(3);
  await passing;
  assert.equal(passed, true);
  await time.advance(20);
  backlog.pressure = 0.5;
  const nowMs = time.monotonicMs();
  await time.until(pacer.pass(1, LANE.levelOne));
  assert.equal(time.monotonicMs(), nowMs);
});

test('a lane that had nothing to do rests no longer for it', async () => {
  const { time, pacer } = paced();
  await time.until(pacer.pass(1, LANE.levelOne));
  pacer.idle(LANE.levelOne);
  await time.advance(60_000);
  const nowMs = time.monotonicMs();
  await time.until(pacer.pass(1, LANE.levelOne));
  assert.equal(time.monotonicMs(), nowMs);
});

test('commits that take longer beside copying make it slower', async () => {
  const { time, pacer } = paced();
  const copied = async (besideMs: number): Promise<number> => {
    const startedMs = time.monotonicMs();
    for (let step = 0; step < 200; step++) {
      pacer.committed(100, 0.4, pacer.isWorking);
      await time.until(pacer.pass(131_072, LANE.levelOne));
      // The lane is in a step, which the next commit meets.
      pacer.committed(100, besideMs, pacer.isWorking);
      pacer.idle(LANE.levelOne);
    }
    return time.monotonicMs() - startedMs;
  };
  const first = await copied(0.45);
  await copied(5);
  const later = await copied(5);
  assert.ok(later > first * 2, `${first} ms, then ${later} ms`);
});

test('two lanes keep to the set rate, and owe nothing when the backlog grows', async () => {
  const time = new VirtualTime();
  const backlog = { pressure: 0.2 };
  const pacer = new Pacer({
    limits: { ...DEFAULT_LIMITS, backgroundBytesPerSecond: 2 ** 20 },
    ...{ clock: time, timers: time },
    pressure: () => backlog.pressure,
    mergesAreBehind: () => true,
  });
  let [bytes, ends] = [0, false];
  const copies = async (lane: number): Promise<void> => {
    while (!ends) {
      await pacer.pass(2 ** 17, lane);
      bytes += 2 ** 17;
    }
  };
  const lanes = [copies(LANE.levelOne), copies(LANE.merge)];
  await time.advance(20_000);
  assert.ok(bytes > 19 * 2 ** 20 && bytes < 22 * 2 ** 20, `${bytes} bytes in 20 s`);
  ends = true;
  const late = pacer.pass(8 * 2 ** 20, LANE.levelOne);
  backlog.pressure = 0.6;
  await time.until(Promise.all([...lanes, late]).then(() => {}));
  const nowMs = time.monotonicMs();
  for (let step = 0; step < 100; step++) await time.until(pacer.pass(2 ** 20, LANE.levelOne));
  assert.equal(time.monotonicMs(), nowMs, 'nobody rests in a hurry');
});

test('a hurry that comes up during a long wait ends it', async () => {
  const { time, backlog, pacer } = paced();
  const passing = pacer.pass(2 ** 30, LANE.levelOne);
  await time.advance(1_000);
  backlog.pressure = 0.5;
  const nowMs = time.monotonicMs();
  await time.until(passing);
  assert.ok(time.monotonicMs() - nowMs <= 100);
});
