/**
 * What does reorganisation cost those who write? Commits of 1 KiB at a fixed rate from a thousand
 * logs, while full write-ahead files of a burst wait. In turns of a second or two the background is
 * held, then let go, many times: a disk that others use as well is fast in one minute and slow in
 * the next, and changes both alike. The ratio of the 99th percentiles is made twice: of all turns
 * together, where a few bad seconds decide, and as the middle of the ratios of turns that follow
 * each other. How far each can be trusted is said by the interval in which it lies when turns are
 * drawn anew at random, and by the same between turns of rest, which would be 1.
 * Then, with `--flood`, one writer at full speed: how evenly it is slowed down.
 *
 *     node bench/storage-background.ts [--pairs=40] [--turn=1500] [--rate=500] [--burst=512]
 *       [--flood=0]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LogEngine, ShardLog } from '#storage';
import { Gate, gatedFiles } from './storage-gate.ts';
import {
  append,
  batchOf,
  done,
  fill,
  idOf,
  numberOf,
  openRig,
  percentile,
  type Rig,
  scratch,
  sleep,
} from './storage-rig.ts';

const BATCH_BYTES = 1_024;
const LOGS = 1_000;
/** Until then everything that the burst caused beside files to reorganise has settled. */
const SETTLE_MS = 4_000;
/** The beginning of a turn, in which steps of the one before may end. */
const EDGE_MS = 250;
/** Times that the turns are drawn anew. */
const DRAWS = 400;

const pairs = numberOf('pairs', 40);
const turnMs = numberOf('turn', 1_500);
const rate = numberOf('rate', 500);
/** MiB that wait to be reorganised; when they are done others are written. */
const burstBytes = numberOf('burst', 512) * 2 ** 20;
const floodBytes = numberOf('flood', 0) * 2 ** 30;

/** Latencies of the commits of one turn. */
interface Turn {
  /** From when a commit was due: a stop of the event loop counts as well. */
  readonly due: number[];
  /** From when it was handed over. */
  readonly sent: number[];
}

/** Commits at the set rate until it is ended; each counts for the turn in which it was due. */
class Steady {
  #turn: Turn | null = null;
  #ended = false;
  readonly #waiting = new Set<Promise<void>>();
  readonly #logs: readonly ShardLog[];
  readonly #model = batchOf(BATCH_BYTES);
  readonly #loop: Promise<void>;

  constructor(logs: readonly ShardLog[]) {
    this.#logs = logs;
    this.#loop = this.#run();
  }

  /** Commits of the next while count for a turn. */
  async during(ms: number): Promise<Turn> {
    const turn: Turn = { due: [], sent: [] };
    this.#turn = turn;
    await sleep(ms);
    this.#turn = null;
    return turn;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#loop;
    await Promise.all(this.#waiting);
  }

  async #run(): Promise<void> {
    const begunMs = performance.now();
    for (let sent = 0; !this.#ended; await sleep(1)) {
      const passedMs = performance.now() - begunMs;
      for (; sent < (passedMs * rate) / 1000; sent++) {
        this.#send(this.#logs[sent % this.#logs.length]!, begunMs + (sent * 1000) / rate);
      }
    }
  }

  #send(log: ShardLog, dueMs: number): void {
    const turn = this.#turn;
    const sentMs = performance.now();
    const commit = append(log, this.#model).then(() => {
      const nowMs = performance.now();
      turn?.due.push(nowMs - dueMs);
      turn?.sent.push(nowMs - sentMs);
      this.#waiting.delete(commit);
    });
    this.#waiting.add(commit);
  }
}

/** Bytes that were accepted in each tenth of a second of a flood. */
async function flood(engine: LogEngine, logs: readonly ShardLog[]): Promise<number[]> {
  const slices: number[] = [];
  let before = 0;
  const accepted = (): number => logs.reduce((sum, log) => sum + log.endOffset, 0) * 16_384;
  const timer = setInterval(() => {
    const now = accepted();
    slices.push(now - before);
    before = now;
  }, 100);
  await fill(engine, logs, floodBytes, 16_384);
  clearInterval(timer);
  return slices;
}

const open = (engine: LogEngine, count: number): ShardLog[] =>
  Array.from({ length: count }, (_, index) => engine.open(idOf(index), 'fsync'));

/** Turns of rest and of reorganisation, one after the other. */
interface Pair {
  readonly rest: Turn;
  readonly busy: Turn;
}

/** One burst: pairs of turns until it is reorganised, or enough were made. */
async function round(rig: Rig, gate: Gate, logs: readonly ShardLog[], found: Pair[]) {
  gate.hold();
  await fill(rig.engine, logs, burstBytes, 4_096);
  await sleep(SETTLE_MS);
  const steady = new Steady(logs);
  const turn = async (): Promise<Turn> => {
    await sleep(EDGE_MS);
    return steady.during(turnMs - EDGE_MS);
  };
  let copied = 0;
  while (found.length < pairs) {
    const rest = await turn();
    const before = rig.counted('reorganised');
    gate.release();
    const busy = await turn();
    const bytes = rig.counted('reorganised') - before;
    gate.hold();
    // Nothing is left to do: another burst.
    if (bytes < 2 ** 20) break;
    copied += bytes;
    found.push({ rest, busy });
  }
  await steady.end();
  return copied;
}

const p99 = (values: readonly number[]): number => percentile(values, 0.99);
const middle = (values: readonly number[]): number => percentile(values, 0.5);

/** A turn and the one that it is compared with. */
type Both = readonly [number[], number[]];

/** Of all turns together. */
const together = (found: readonly Both[]): number =>
  p99(found.flatMap(([, other]) => other)) / p99(found.flatMap(([one]) => one));
/** In the middle of those of each two turns. */
const apart = (found: readonly Both[]): number =>
  middle(found.map(([one, other]) => p99(other) / p99(one)));

/** A ratio, and where nine of ten lie when turns are drawn at random, each as often as it comes. */
function ratio(of: (found: readonly Both[]) => number, found: readonly Both[]): string {
  const drawn = Array.from({ length: DRAWS }, () =>
    of(found.map(() => found[Math.floor(Math.random() * found.length)]!)),
  );
  const [low, high] = [0.05, 0.95].map((share) => percentile(drawn, share).toFixed(2));
  return `${of(found).toFixed(2)} (${low} to ${high})`;
}

function show(found: readonly Pair[], way: keyof Turn): void {
  const at = (turns: readonly number[][]): string =>
    [0.5, 0.99, 0.999].map((share) => percentile(turns.flat(), share).toFixed(2)).join(' / ');
  const [rest, busy] = [found.map((pair) => pair.rest[way]), found.map((pair) => pair.busy[way])];
  const pairs = rest.map((one, index): Both => [one, busy[index]!]);
  // Each rest and the one after it: one way and the other, in turn.
  const calm = rest.slice(1).map((one, index): Both => {
    return index % 2 === 0 ? [rest[index]!, one] : [one, rest[index]!];
  });
  console.log(
    `from ${way === 'due' ? 'due' : 'handed over'} to committed, ms at 50 / 99 / 99.9 %: ` +
      `rest ${at(rest)}; reorganising ${at(busy)}; 99th to 99th of turns that follow each other ` +
      `${ratio(apart, pairs)}, of all together ${ratio(together, pairs)}; rest to rest ` +
      `${ratio(apart, calm)} and ${ratio(together, calm)}`,
  );
}

async function compare(): Promise<void> {
  const gate = new Gate();
  const rig = await openRig(scratch(), {}, gatedFiles(gate));
  const logs = open(rig.engine, LOGS);
  const found: Pair[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let copied = 0;
  while (found.length < pairs) copied += await round(rig, gate, logs, found);
  delay.disable();
  console.log(
    `${found.length} turns of ${turnMs} ms each, ${rate} commits/s; reorganised ` +
      `${((copied * 1000) / (found.length * turnMs) / 2 ** 20).toFixed(0)} MiB/s; event loop ` +
      `99.9 % ${(delay.percentile(99.9) / 1e6).toFixed(1)} ms, longest ` +
      `${(delay.max / 1e6).toFixed(1)} ms`,
  );
  show(found, 'due');
  show(found, 'sent');
  gate.release();
  await rig.engine.close();
}

await compare();

if (floodBytes > 0) {
  const rig = await openRig(scratch());
  const slices = await flood(rig.engine, open(rig.engine, LOGS));
  const late = slices.slice(Math.floor(slices.length / 3));
  const perSecond = (bytes: number): string => `${((bytes * 10) / 2 ** 20).toFixed(0)}`;
  console.log(
    `full speed: ${perSecond(late.reduce((a, b) => a + b, 0) / late.length)} MiB/s after the first ` +
      `third; tenths of a second at 10 / 50 / 90 %: ` +
      [0.1, 0.5, 0.9].map((share) => perSecond(percentile(late, share))).join(' / ') +
      `; without any progress ${late.filter((bytes) => bytes === 0).length} of ${late.length}`,
  );
  await rig.engine.close();
}
done();
