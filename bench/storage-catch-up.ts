/**
 * How fast is a reader that catches up on one log among ten thousand, beside one whose log is
 * alone? Both read from segments, in the state that reorganisation leaves behind, in turns of a few
 * MiB each: what else the machine does slows both alike.
 *
 *     node bench/storage-catch-up.ts [--gigabytes=2] [--logs=10000] [--folder=DIR [--fill]]
 *       [--directories=start|none|warm]
 *
 * What is in memory of the directories of segments: at first nothing, as after a start (each round
 * begins with one, and reads a hundred other logs); next to nothing all the time; or all of them.
 * With a folder what was filled stays there for the next run; with `--fill` it is only filled.
 */
import type { ShardLog } from '#storage';
import { done, fill, idOf, numberOf, openRig, prepared, textOf } from './storage-rig.ts';

const READ_BYTES = 1 << 20;
const BATCH_BYTES = 16_384;
const ROUNDS = 15;
/** Turns of a round. */
const TURNS = 10;
/** Logs that are read in a round. */
const SAMPLE = 100;
/** Fast, so that the end state comes soon; the readers start when it is there. */
const LIMITS = { backgroundBytesPerSecond: 400 * 2 ** 20, cacheBytes: 2 ** 20, walKeptMs: 1_000 };

/** For what is filled already. */
const RESTING = { reorganiseDelayMs: 1e9 };

const total = numberOf('gigabytes', 2) * 2 ** 30;
const logCount = numberOf('logs', 10_000);
const directories = textOf('directories') ?? 'start';
/** A read of one log asks for pages of eight segments or so. */
const PAGES = directories === 'none' ? { directoryPagesMax: 16 } : {};

/** What a reader has read in a round, and what it took. */
class Figure {
  #bytes = 0;
  #ms = 0;
  #cpuMs = 0;

  /** Bytes in a second. */
  get rate(): number {
    return (this.#bytes * 1000) / this.#ms;
  }

  /** CPU time for a MiB. */
  get cpuMs(): number {
    return this.#cpuMs / (this.#bytes / 2 ** 20);
  }

  /** Reads all of these stretches, one after the other. */
  async read(stretches: readonly Stretch[]): Promise<void> {
    const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
    for (const { log, from, to } of stretches) {
      for (let offset = from; offset < to; ) {
        const batches = await log.read(offset, READ_BYTES);
        for (const batch of batches) this.#bytes += batch.bytes.length;
        const last = batches.at(-1)!;
        offset = last.baseOffset + last.count;
      }
    }
    const { user, system } = process.cpuUsage(startedCpu);
    this.#ms += performance.now() - startedMs;
    this.#cpuMs += (user + system) / 1000;
  }
}

interface Stretch {
  readonly log: ShardLog;
  readonly from: number;
  readonly to: number;
}

/** All of a log, or one of some equal parts of it. */
function stretchOf(log: ShardLog, part = 0, parts = 1): Stretch {
  const at = (share: number): number =>
    log.startOffset + Math.floor((log.highWatermark - log.startOffset) * share);
  return { log, from: at(part / parts), to: at((part + 1) / parts) };
}

async function opened(name: string, count: number, bytes: number) {
  const data = prepared(name);
  // What is there already has come to rest: nothing is to disturb the readers.
  const rig = await openRig(data.folder, {
    ...{ ...LIMITS, ...PAGES },
    ...(data.isFilled ? RESTING : {}),
  });
  const logs = Array.from({ length: count }, (_, index) => rig.engine.open(idOf(index), 'fsync'));
  if (!data.isFilled) {
    await fill(rig.engine, logs, bytes, BATCH_BYTES);
    // A trim sends the newest full file on its way as well.
    logs[0]!.trim(1);
    await rig.quiet();
    data.filled();
  }
  return { ...rig, logs, folder: data.folder };
}

let among = await opened('among', logCount, total);
const perLog = total / logCount;
const step = Math.ceil(logCount / SAMPLE);
/** The logs after a start. */
async function again(): Promise<typeof among> {
  await among.engine.close();
  const rig = await openRig(among.folder, { ...LIMITS, ...PAGES, ...RESTING });
  const logs = among.logs.map(({ id }) => rig.engine.open(id, 'fsync'));
  return { ...rig, logs, folder: among.folder };
}

/** Others each time: a reader that catches up comes to what nobody has asked for yet. */
const sampleOf = (round: number): ShardLog[] =>
  among.logs.filter((_, index) => index % step === (directories === 'warm' ? 0 : round % step));
const alone = await opened('alone', 1, Math.max(2 ** 27, perLog * Math.min(SAMPLE, logCount)));
const figures: { among: Figure; alone: Figure }[] = [];
const rounds = process.argv.includes('--fill') ? 0 : ROUNDS;
// The first round is not counted: everything in the process is new to it.
for (let round = -1; round < rounds; round++) {
  const figure = { among: new Figure(), alone: new Figure() };
  if (directories === 'start') among = await again();
  const sample = sampleOf(round + 1).map((log) => stretchOf(log));
  for (let turn = 0; turn < TURNS; turn++) {
    await figure.among.read(sample.filter((_, index) => index % TURNS === turn));
    await figure.alone.read([stretchOf(alone.logs[0]!, turn, TURNS)]);
  }
  if (round >= 0) figures.push(figure);
}
figures.sort((a, b) => a.among.rate / a.alone.rate - b.among.rate / b.alone.rate);
const rate = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB/s`;
for (const [index, { among: one, alone: other }] of figures.entries()) {
  const middle = index === ROUNDS >> 1 ? ' (the middle one)' : '';
  console.log(
    `${Math.min(SAMPLE, logCount)} of ${logCount} logs, ${(perLog / 1024).toFixed(0)} KiB each: ` +
      `${rate(one.rate)}, ${one.cpuMs.toFixed(2)} ms of CPU for a MiB; ` +
      `one log alone: ${rate(other.rate)}, ${other.cpuMs.toFixed(2)} ms; ` +
      `ratio ${(one.rate / other.rate).toFixed(2)}, by CPU ${(other.cpuMs / one.cpuMs).toFixed(2)}${middle}`,
  );
}
/** The geometric mean: a ratio and its inverse weigh the same. */
const mean = (of: (figure: (typeof figures)[number]) => number): string =>
  Math.exp(figures.reduce((sum, figure) => sum + Math.log(of(figure)), 0) / rounds).toFixed(2);
if (rounds > 0) {
  console.log(
    `directories: ${directories}; ${rounds} rounds: mean ratio ` +
      `${mean(({ among, alone }) => among.rate / alone.rate)}, by CPU ` +
      `${mean(({ among, alone }) => alone.cpuMs / among.cpuMs)}`,
  );
}
await among.engine.close();
await alone.engine.close();
done();
