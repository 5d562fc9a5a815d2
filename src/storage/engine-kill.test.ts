/** A real process is killed while it writes; what it said was acknowledged must be there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { realFiles } from './files/real-files.ts';
import { openTestEngine, readAll, temporaryDirectory, textOf } from './storage.fixture.ts';

const ROUNDS = 3;
const ACKED_BEFORE_KILL = 400;

/** Appends without end to four logs and prints `log offset` for each acknowledgement. */
const WRITER = `
  const { openTestEngine, dataBatch, factsOf } = await import(process.env.FIXTURE);
  const { realFiles } = await import(process.env.FILES);
  const engine = await openTestEngine({ files: realFiles, directory: process.env.DIRECTORY });
  const logs = [1, 2, 3, 4].map((id) => engine.open(id, 'fsync'));
  const step = () => {
    for (const log of logs) {
      if (engine.busy) break;
      const offset = log.endOffset;
      log.append(dataBatch(log.id + '/' + offset, 700), factsOf(), (error) => {
        if (error === null) process.stdout.write(log.id + ' ' + offset + '\\n');
      });
    }
    setImmediate(step);
  };
  step();
`;

test(`kill -9 while writing loses nothing that was acknowledged, ${ROUNDS} times R32`, async () => {
  const { path, remove } = temporaryDirectory();
  const acked = new Map<number, number>();
  const urlOf = (name: string): string => new URL(name, import.meta.url).href;
  const env = {
    ...process.env,
    FIXTURE: urlOf('storage.fixture.ts'),
    FILES: urlOf('files/real-files.ts'),
    DIRECTORY: path,
  };
  for (let round = 0; round < ROUNDS; round++) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seen = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      const [log = 0, offset = 0] = line.split(' ').map(Number);
      acked.set(log, Math.max(acked.get(log) ?? 0, offset + 1));
      if (++seen === ACKED_BEFORE_KILL) writer.kill('SIGKILL');
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    assert.ok(seen >= ACKED_BEFORE_KILL);
    const engine = await openTestEngine({ files: realFiles, directory: path });
    assert.deepEqual(engine.report.damaged, []);
    for (const [id, end] of acked) {
      const log = engine.open(id, 'fsync');
      assert.ok(log.highWatermark >= end, `log ${id}: ${log.highWatermark} of ${end}`);
      const texts = (await readAll(log)).map(textOf);
      assert.deepEqual(
        texts,
        texts.map((_, offset) => `${id}/${offset}`),
      );
    }
    await engine.close();
  }
  remove();
});
