/** What every `LogEngine` must do; run on real and on virtual files by `engine.test.ts`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineLimits } from './limits.ts';
import type { LogEngine, ShardLog } from './log-engine.ts';
import { appended, dataBatch, factsOf, readAll, textOf } from './storage.fixture.ts';

export interface EngineUnderTest {
  /** Opens the same place again and again. */
  open(limits?: Partial<EngineLimits>): Promise<LogEngine>;
  end(): void;
}

export function engineContract(name: string, make: () => EngineUnderTest): void {
  const check = (title: string, body: (under: EngineUnderTest) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const under = make();
      try {
        await body(under);
      } finally {
        under.end();
      }
    });
  };

  basics(check);
  durabilities(check);
  pressure(check);
  producers(check);
  retention(check);
}

type Check = (title: string, body: (under: EngineUnderTest) => Promise<void>) => void;

/** Numbers of the messages that a log serves. */
async function numbers(log: ShardLog): Promise<number[]> {
  return (await readAll(log)).map((batch) => Number(textOf(batch).slice(1)));
}

const upTo = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

function basics(check: Check): void {
  check(
    'what was acknowledged is there after a restart, from memory and from disk',
    async (under) => {
      let engine = await under.open();
      const log = engine.open(5, 'fsync');
      for (let n = 0; n < 300; n++) {
        if (n % 3 === 0) log.append(dataBatch(`m${n}`, 200), factsOf());
        else await appended(log, dataBatch(`m${n}`, 200));
      }
      await engine.flushed();
      assert.deepEqual(await numbers(log), upTo(0, 300));
      await engine.close();
      engine = await under.open();
      assert.deepEqual(engine.report.damaged, []);
      assert.deepEqual(await numbers(engine.open(5, 'fsync')), upTo(0, 300));
      assert.ok(engine.usage().dataBytes > 0, 'full write-ahead files became segments');
      await engine.close();
    },
  );

  check('the owner patches base offset and leader epoch, and nothing else', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    await appended(log, dataBatch('first'), { count: 7 });
    const sent = dataBatch('second', 10);
    const copy = Buffer.from(sent);
    assert.equal(await appended(log, sent, { count: 2, attributes: 3, origin: 2 }), 7);
    const [stored] = await log.read(8, 1);
    copy.writeBigInt64BE(7n, 0);
    copy.writeInt32BE(0, 12);
    assert.deepEqual(stored?.bytes, copy);
    assert.deepEqual([stored?.baseOffset, stored?.count], [7, 2]);
    assert.deepEqual([stored?.attributes, stored?.origin, stored?.kind], [3, 2, 'data']);
    await engine.close();
  });

  check('reads outside the log are refused, at its end they are empty', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    assert.deepEqual(await log.read(0, 10), []);
    for (let n = 0; n < 4; n++) await appended(log, dataBatch(`m${n}`));
    log.trim(2);
    assert.throws(() => log.read(1, 10), { code: 'offset-out-of-range' });
    assert.throws(() => log.read(5, 10), { code: 'offset-out-of-range' });
    assert.deepEqual(await log.read(4, 10), []);
    assert.equal((await log.read(2, 1)).length, 1);
    assert.equal((await log.read(2, 100_000)).length, 2);
    await engine.close();
  });

  check('listeners hear once per commit and log, after the high watermark moved', async (under) => {
    const engine = await under.open();
    const [a, b] = [engine.open(1, 'fsync'), engine.open(2, 'fsync')];
    const heard: string[] = [];
    const end = a.tail((log) => heard.push(`a${log.highWatermark}`));
    b.tail((log) => heard.push(`b${log.highWatermark}`));
    for (const log of [a, b, a]) log.append(dataBatch('x'), factsOf());
    await engine.flushed();
    assert.deepEqual(heard, ['a2', 'b1']);
    end();
    a.append(dataBatch('x'), factsOf());
    await engine.flushed();
    assert.deepEqual(heard, ['a2', 'b1']);
    await engine.close();
  });

  check('what hooks append before the seal goes into the same entry', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    const acks: string[] = [];
    let wanted = true;
    engine.beforeSeal(() => {
      if (!wanted) return;
      wanted = false;
      log.append(dataBatch('late'), factsOf(), () => acks.push(`late ${log.highWatermark}`));
    });
    log.append(dataBatch('early'), factsOf(), () => acks.push(`early ${log.highWatermark}`));
    await engine.flushed();
    assert.deepEqual(acks, ['early 2', 'late 2'], 'one commit moved both');
    wanted = true;
    engine.wake();
    await new Promise<void>((resolve) => {
      const end = log.tail(() => {
        end();
        resolve();
      });
    });
    assert.equal(log.highWatermark, 3);
    await engine.close();
  });

  check('a log is found by time, in segments and in recent entries', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    for (let n = 0; n < 200; n++) {
      log.append(dataBatch(`m${n}`, 500), factsOf({ maxTimestampMs: 1_000 + n * 10 }));
      if (n % 20 === 0) await engine.flushed();
    }
    await engine.flushed();
    await engine.checkpoint();
    for (const n of [0, 1, 57, 120, 199]) {
      assert.equal((await log.findByTime(995 + n * 10))?.baseOffset, n);
    }
    assert.equal(await log.findByTime(3_000), null);
    log.trim(50);
    assert.equal((await log.findByTime(0))?.baseOffset, 50);
    await engine.close();
  });

  check('after close nothing is taken, and close may be called twice', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    await Promise.all([engine.close(), engine.close()]);
    assert.throws(() => log.append(dataBatch('x'), factsOf()), { code: 'closing' });
  });

  check('checkpoints ask the state owners first, and bound what a start replays', async (under) => {
    let engine = await under.open();
    const log = engine.open(1, 'fsync');
    const saved: number[] = [];
    engine.onCheckpoint(async () => {
      saved.push(await appended(log, Buffer.from('state'), { kind: 'state' }));
    });
    await engine.checkpoint();
    await engine.close();
    assert.deepEqual(saved, [0, 1]);
    engine = await under.open();
    assert.equal(engine.open(1, 'fsync').highWatermark, 2);
    await engine.close();
  });
}

function durabilities(check: Check): void {
  check(
    'async appends are acknowledged in the same turn and on disk after close',
    async (under) => {
      let engine = await under.open({ asyncIntervalMs: 60_000 });
      const log = engine.open(1, 'async');
      for (let n = 0; n < 10; n++) await appended(log, dataBatch(`m${n}`));
      assert.deepEqual(await numbers(log), upTo(0, 10));
      await engine.close();
      engine = await under.open();
      assert.deepEqual(await numbers(engine.open(1, 'async')), upTo(0, 10));
      await engine.close();
    },
  );

  check(
    'memory logs are read like others, bounded by trim, and gone after a restart',
    async (under) => {
      let engine = await under.open();
      const log = engine.open(1, 'memory');
      for (let n = 0; n < 10; n++) await appended(log, dataBatch(`m${n}`));
      assert.deepEqual(await numbers(log), upTo(0, 10));
      const before = log.stat().bytes;
      log.trim(6);
      assert.deepEqual(await numbers(log), upTo(6, 10));
      assert.ok(log.stat().bytes < before / 2);
      await engine.close();
      engine = await under.open();
      assert.equal(engine.open(1, 'memory').highWatermark, 0);
      await engine.close();
    },
  );
}

function pressure(check: Check): void {
  check(
    'beyond the bytes in flight appends are busy, and room is announced once',
    async (under) => {
      const engine = await under.open();
      const log = engine.open(1, 'fsync');
      let accepted = 0;
      assert.throws(
        () => {
          for (; accepted < 1_000; accepted++)
            log.append(dataBatch(`m${accepted}`, 8_000), factsOf());
        },
        { code: 'busy' },
      );
      assert.equal(engine.busy, true);
      assert.ok(accepted >= 10 && accepted < 30);
      let announced = 0;
      await new Promise<void>((resolve) =>
        engine.onRoom(() => {
          announced++;
          resolve();
        }),
      );
      assert.equal(engine.busy, false);
      await engine.flushed();
      assert.equal(announced, 1);
      assert.deepEqual(await numbers(log), upTo(0, accepted));
      await engine.close();
    },
  );

  check('malformed and oversized batches are refused and change nothing', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    const cut = dataBatch('x', 20).subarray(0, 70);
    assert.throws(() => log.append(cut, factsOf()), { code: 'invalid-batch' });
    assert.throws(() => log.append(Buffer.alloc(5), factsOf()), { code: 'invalid-batch' });
    const large = dataBatch('x', 40_000);
    assert.throws(() => log.append(large, factsOf()), { code: 'message-too-large' });
    assert.equal(log.endOffset, 0);
    await engine.close();
  });
}

function producers(check: Check): void {
  const producer = { producerId: 9, producerEpoch: 0 };

  check('a repeated batch gets its first offset, in flight and after a restart', async (under) => {
    let engine = await under.open();
    let log = engine.open(1, 'fsync');
    const told: string[] = [];
    const send = (baseSequence: number, name: string) =>
      log.append(dataBatch(name), factsOf({ ...producer, baseSequence, count: 2 }), () =>
        told.push(name),
      );
    send(0, 'a');
    send(2, 'b');
    assert.deepEqual(send(0, 'again'), { baseOffset: 0, duplicate: true });
    await engine.flushed();
    assert.deepEqual(told, ['a', 'b', 'again']);
    assert.equal(log.endOffset, 4);
    for (const way of ['memory', 'restart']) {
      if (way === 'restart') {
        await engine.close();
        engine = await under.open();
        log = engine.open(1, 'fsync');
      }
      assert.deepEqual(send(2, 'later'), { baseOffset: 2, duplicate: true });
      assert.throws(() => send(6, 'gap'), { code: 'out-of-order-sequence' });
      assert.equal(log.endOffset, 4);
    }
    assert.deepEqual(send(4, 'c'), { baseOffset: 4, duplicate: false });
    await engine.flushed();
    assert.equal(log.producerCount, 1);
    assert.equal(log.producers()[0]?.lastSequence, 5);
    await engine.close();
  });

  check('a new epoch starts at 0 and shuts the old one out', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    const send = (producerEpoch: number, baseSequence: number) =>
      log.append(dataBatch('x'), factsOf({ producerId: 3, producerEpoch, baseSequence }));
    send(1, 17);
    send(1, 18);
    assert.throws(() => send(2, 19), { code: 'out-of-order-sequence' });
    send(2, 0);
    assert.throws(() => send(1, 19), { code: 'stale-producer' });
    assert.equal(send(2, 1).duplicate, false);
    await engine.close();
  });

  check('sequences start again at 0 after 2^31 - 1', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    const send = (baseSequence: number, count: number) =>
      log.append(dataBatch('x'), factsOf({ ...producer, baseSequence, count }));
    send(2 ** 31 - 3, 2);
    send(2 ** 31 - 1, 3);
    assert.equal(log.producers()[0]?.lastSequence, 1);
    assert.equal(send(2, 1).duplicate, false);
    assert.equal(send(2 ** 31 - 1, 3).duplicate, true);
    await engine.close();
  });
}

function retention(check: Check): void {
  check('trimmed data frees the disk although thousands of logs share the files', async (under) => {
    const limits = { sweepDelayMs: 1, walFileBytes: 262_144, segmentBytesMax: 262_144 };
    let engine = await under.open(limits);
    const logs = upTo(1, 2_001).map((id) => engine.open(id, 'fsync'));
    for (let round = 0; round < 6; round++) {
      for (const log of logs) {
        if (engine.busy) await room(engine);
        log.append(dataBatch(`m${round}`, 150), factsOf());
      }
      await engine.flushed();
    }
    await engine.checkpoint();
    const before = engine.usage().dataBytes;
    assert.ok(before > 2_000_000);
    for (const log of logs) if (log.id % 10 !== 0) log.trim(6);
    await settledBelow(engine, before / 4);
    for (const log of logs) {
      assert.deepEqual(await numbers(log), log.id % 10 === 0 ? upTo(0, 6) : []);
    }
    await engine.close();
    engine = await under.open();
    assert.deepEqual(engine.report.damaged, []);
    assert.deepEqual(await numbers(engine.open(20, 'fsync')), upTo(0, 6));
    assert.equal(engine.open(21, 'fsync').startOffset, 6);
    await engine.close();
  });

  check('a removed log is gone at once, and its bytes soon', async (under) => {
    let engine = await under.open({ sweepDelayMs: 1 });
    const log = engine.open(1, 'fsync');
    for (let n = 0; n < 400; n++) {
      if (engine.busy) await room(engine);
      log.append(dataBatch(`m${n}`, 1_000), factsOf());
    }
    await engine.flushed();
    await engine.checkpoint();
    assert.ok(engine.usage().dataBytes > 200_000);
    log.remove();
    assert.equal(engine.has(1), false);
    assert.throws(() => log.append(dataBatch('x'), factsOf()), { code: 'unknown-stream' });
    await settledBelow(engine, 1_000);
    await engine.close();
    engine = await under.open();
    assert.equal(engine.has(1), false);
    await engine.close();
  });

  check('the offset for a number of bytes is a batch boundary in every place', async (under) => {
    const engine = await under.open();
    const log = engine.open(1, 'fsync');
    for (let n = 0; n < 300; n++) {
      if (engine.busy) await room(engine);
      log.append(dataBatch(`m${n}`, 900), factsOf());
    }
    await engine.flushed();
    const { length } = (await log.read(299, 1))[0]!.bytes;
    assert.equal(await log.offsetForBytes(0), 300);
    for (const kept of [1, 40, 150, 299]) {
      const offset = await log.offsetForBytes(kept * (length + 2));
      assert.ok(Math.abs(300 - kept - offset) <= 1, `${kept}: ${offset}`);
    }
    assert.equal(await log.offsetForBytes(10_000_000), 0);
    const { bytes, batches } = log.stat();
    assert.equal(batches, 300);
    assert.ok(Math.abs(bytes - 300 * length) < 3 * 300);
    await engine.close();
  });
}

const room = (engine: LogEngine): Promise<void> => new Promise((resolve) => engine.onRoom(resolve));

/** Each checkpoint waits for the background work before it; the turn lets timers begin more. */
async function settledBelow(engine: LogEngine, bytes: number): Promise<void> {
  const limitMs = performance.now() + 20_000;
  while (engine.usage().dataBytes >= bytes && performance.now() < limitMs) {
    await engine.checkpoint();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(engine.usage().dataBytes < bytes, `${engine.usage().dataBytes} bytes are left`);
}
