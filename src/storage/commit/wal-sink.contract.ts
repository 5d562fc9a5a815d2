/** What every implementation of `WalSink` must do; run by `wal-sink.test.ts` for each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from './entry.ts';
import type { WalSink } from './wal-sink.ts';

export interface SinkUnderTest {
  readonly sink: WalSink;
  /** A sealed entry with these bodies; its sequence follows that of the last one. */
  seal(...bodies: string[]): Entry;
  /** Makes every write that begins from now on fail. */
  failWrites(): void;
  /** Takes all free space away, or gives it back. */
  setFull(full: boolean): void;
  /** What the sink says next about its space: true when it is missing, false when found again. */
  space(): Promise<boolean>;
  /** Stops without a word, and reads what a later start finds: the bodies of each entry. */
  recovered(): Promise<string[][]>;
  end(): Promise<void>;
}

/** More entries than any sink under test has files for. */
const ENTRIES_MAX = 500;
const BODY_BYTES = 6_000;

export function walSinkContract(name: string, make: () => Promise<SinkUnderTest>): void {
  const check = (title: string, body: (under: SinkUnderTest) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const under = await make();
      try {
        await body(under);
      } finally {
        await under.end();
      }
    });
  };

  check('what was committed is found again, whole and in order', async (under) => {
    const wanted = [['a'], ['b', 'c', ''], [], ['d'.repeat(10_000), 'e']];
    for (const bodies of wanted) await under.sink.commit(under.seal(...bodies));
    assert.deepEqual(await under.recovered(), wanted);
  });

  check('entries go on in order over several files, and the figures follow', async (under) => {
    const { sink } = under;
    const wanted: string[][] = [];
    assert.equal(sink.backlog, 0);
    for (let n = 0; sink.backlog < 2; n++) {
      assert.ok(n < ENTRIES_MAX, 'files are finished');
      const { room, backlog } = sink;
      wanted.push([`${n}`.padEnd(BODY_BYTES, '.')]);
      await sink.commit(under.seal(...wanted.at(-1)!));
      if (sink.backlog === backlog) assert.ok(sink.room <= room - BODY_BYTES);
    }
    assert.equal(sink.full, false);
    assert.deepEqual(await under.recovered(), wanted);
  });

  check('a failed write rejects, is final, and harms nothing before it', async (under) => {
    await under.sink.commit(under.seal('kept'));
    under.failWrites();
    await assert.rejects(under.sink.commit(under.seal('lost')), { code: 'EIO' });
    await assert.rejects(under.sink.commit(under.seal('refused')), { code: 'EIO' });
    const found = await under.recovered();
    assert.deepEqual(found[0], ['kept']);
    assert.ok(!found.flat().includes('refused'));
  });

  check('missing space is told and ends; the entry that waited goes on', async (under) => {
    const { sink } = under;
    const wanted: string[][] = [];
    under.setFull(true);
    const told = under.space();
    let waiting: Promise<void> = Promise.resolve();
    for (let missing = false; !missing; ) {
      assert.ok(wanted.length < ENTRIES_MAX, 'space runs out');
      wanted.push([`${wanted.length}`.padEnd(BODY_BYTES, '.')]);
      waiting = sink.commit(under.seal(...wanted.at(-1)!));
      missing = await Promise.race([waiting.then(() => false), told]);
    }
    assert.equal(sink.full, true);
    await waiting;
    const { room } = sink;
    const found = under.space();
    // Too large for the rest of the file: it has to wait for the next one.
    wanted.push(['.'.repeat(room)]);
    const late = sink.commit(under.seal(...wanted.at(-1)!));
    under.setFull(false);
    assert.equal(await found, false);
    await late;
    assert.equal(sink.full, false);
    assert.deepEqual(await under.recovered(), wanted);
  });
}
