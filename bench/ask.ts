/**
 * Asks one question: the ceiling of the load against the sink, then rounds in which ours and each
 * peer take turns on empty folders, so that a slow minute of the machine hits both.
 */

import { median } from './facts.ts';
import { runLoad, startSink } from './load/child.ts';
import { type LoadResult, type LoadSpec, wireOf } from './load/spec.ts';
import { ours, oursWith } from './peers/ours.ts';
import { freshFolder, type Running, type Side } from './peers/peer.ts';
import { type HotSpot, profileIn } from './profile.ts';
import type { Question, Row } from './question.ts';

export interface Effort {
  readonly rounds: number;
  readonly warmMs: number;
  readonly runMs: number;
  /** Share of the records of a question that reads a stored backlog. */
  readonly recordShare: number;
  readonly report: (line: string) => void;
}

export interface Sample extends LoadResult {
  /**
   * CPU time of the server's processes during the measured part, in microseconds for each message.
   */
  readonly serverCpuUs: number;
  /** Resident memory of the server after the run, in bytes. */
  readonly resident: number;
}

export interface SideFigures {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
  readonly durability: string;
  /** What the check before the rounds compared, or why it failed. */
  readonly check: string;
  readonly samples: readonly Sample[];
  readonly median: number;
}

export interface Comparison {
  readonly peer: SideFigures;
  /** Ours over the peer's (latency: the peer's over ours), so that more is better for us. */
  readonly ratio: number;
  readonly lowest: number;
  readonly highest: number;
}

export interface RowFigures {
  readonly question: string;
  readonly title: string;
  readonly measures: Question['measures'];
  readonly label: string;
  readonly ceiling: number;
  readonly ours: SideFigures;
  readonly comparisons: readonly Comparison[];
  /** Sides that could not run here, with the reason. */
  readonly skipped: readonly string[];
}

export async function ask(question: Question, effort: Effort): Promise<RowFigures[]> {
  const rows: RowFigures[] = [];
  const skipped: string[] = [];
  const peers = question.peers.filter((peer) => installs(peer, skipped));
  for (const row of question.rows) {
    const ceiling = await ceilingOf(question, row, effort);
    const sides = [ours, ...peers];
    const samples = new Map<Side, Sample[]>(sides.map((side) => [side, []]));
    const checks = new Map<Side, string>();
    for (const side of sides) {
      const verified = await check(question, row, side, effort);
      checks.set(side, verified);
      effort.report(`  ${side.name} (${side.setting}): ${verified}`);
    }
    for (let round = 0; round < effort.rounds; round++) {
      for (const side of sides) {
        const sample = await sampleOf(question, row, side, effort);
        samples.get(side)?.push(sample);
        effort.report(`  ${side.name} (${side.setting}): ${describe(question, sample)}`);
      }
    }
    rows.push(figuresOf(question, row, { ceiling, peers, samples, checks, skipped }));
  }
  return rows;
}

const SPOTS_SHOWN = 15;

/**
 * Runs ours alone with V8's profiler and reports the functions that took the most time themselves.
 */
export async function profile(question: Question, effort: Effort): Promise<void> {
  for (const row of question.rows) {
    const folder = freshFolder(`profile-${question.name}-${row.load.payloadBytes}`);
    const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
    const side = oursWith('profiled', ours.durability, { nodeFlags });
    const sample = await sampleOf(question, row, side, effort);
    const { busy, spots, paths } = profileIn(folder);
    const load = describe(question, sample);
    effort.report(`${question.name} ${row.label}: ${load}; busy ${percent(busy)}`);
    const list = (title: string, all: readonly HotSpot[]) => {
      effort.report(`  ${title}`);
      for (const { where, share } of all.slice(0, SPOTS_SHOWN)) {
        effort.report(`  ${percent(share).padStart(6)} ${where}`);
      }
    };
    list('in the function itself', spots);
    list('with what it calls', paths);
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function installs(peer: Side, skipped: string[]): boolean {
  try {
    peer.install();
    return true;
  } catch (error) {
    skipped.push(`${peer.name} (${peer.setting}): ${(error as Error).message}`);
    return false;
  }
}

function specOf(row: Row, effort: Effort, port: number, name: string): LoadSpec {
  const records = Math.round((row.load.records ?? 0) * effort.recordShare);
  const { warmMs, runMs } = effort;
  const plain = {
    verify: false,
    audit: false,
    batch: 1,
    publishers: 1,
    subscribers: 1,
    perSecond: 0,
  };
  return { ...plain, ...row.load, port, warmMs, runMs, records, name };
}

async function ceilingOf(question: Question, row: Row, effort: Effort): Promise<number> {
  const sink = await startSink(row.load.load);
  try {
    return figureOf(question, await runLoad(specOf(row, effort, sink.port, 'ceiling')));
  } finally {
    await sink.stop();
  }
}

/** How a check begins that found something wrong; the figure is taken all the same, and marked. */
export const CHECK_FAILED = 'CHECK FAILED';

/** A short run that compares payloads and counts what the broker kept; its rate means nothing. */
async function check(question: Question, row: Row, side: Side, effort: Effort): Promise<string> {
  const shorter = { ...effort, warmMs: 0, runMs: 500, recordShare: effort.recordShare / 10 };
  try {
    const result = await loadOn(question, row, side, async (running, name) => {
      const spec = specOf(row, shorter, running.port, name);
      return runLoad({ ...spec, verify: true, audit: true });
    });
    return result.verified ?? 'nothing to compare';
  } catch (error) {
    return `${CHECK_FAILED}: ${(error as Error).message}`;
  }
}

async function sampleOf(question: Question, row: Row, side: Side, effort: Effort): Promise<Sample> {
  return loadOn(question, row, side, async (running, name) => {
    const spec = specOf(row, effort, running.port, name);
    const at = { begin: 0, end: 0 };
    const result = await runLoad(spec, (moment) => {
      at[moment] = running.process.cpuSeconds();
    });
    const serverCpuUs = ((at.end - at.begin) * 1e6) / result.messages;
    const resident = running.process.residentBytes();
    return { ...result, serverCpuUs, resident };
  });
}

/** Starts a side on an empty folder, loads it, stops it; an error names who and what. */
async function loadOn<T>(
  question: Question,
  row: Row,
  side: Side,
  load: (running: Running, name: string) => Promise<T>,
): Promise<T> {
  const running = await side.start(wireOf(row.load.load));
  try {
    const quorum = question.quorumByPeer === true && side.setting.startsWith('quorum');
    return await load(running, `${question.name}${quorum ? '-quorum' : ''}`);
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${question.name}, ${side.name} (${side.setting}): ${reason}`);
  } finally {
    await running.stop();
  }
}

export function figureOf(question: Pick<Question, 'measures'>, result: LoadResult): number {
  return question.measures === 'latency' ? (result.latency?.p50 ?? 0) : result.perSecond;
}

function describe(question: Question, sample: Sample): string {
  const value = Math.round(figureOf(question, sample)).toLocaleString('en');
  const unit = question.measures === 'latency' ? 'us' : '/s';
  const lost = sample.lost > 0 ? `; ${sample.lost} lost` : '';
  const cpu = `server ${sample.serverCpuUs.toFixed(2)} us CPU each`;
  return `${value} ${unit}, ${cpu}, ${Math.round(sample.resident / 1e6)} MB${lost}`;
}

interface Measured {
  readonly ceiling: number;
  readonly peers: readonly Side[];
  readonly samples: ReadonlyMap<Side, readonly Sample[]>;
  readonly checks: ReadonlyMap<Side, string>;
  readonly skipped: readonly string[];
}

function figuresOf(question: Question, row: Row, measured: Measured): RowFigures {
  const { ceiling, samples, checks, skipped } = measured;
  const sideOf = (side: Side): SideFigures => {
    const own = samples.get(side) ?? [];
    const { name, setting, durability } = side;
    const middle = median(own.map((sample) => figureOf(question, sample)));
    const check = checks.get(side) ?? '';
    const version = side.version();
    return { name, setting, durability, version, check, samples: own, median: middle };
  };
  const mine = sideOf(ours);
  const { name, title, measures } = question;
  return {
    ...{ question: name, title, measures, label: row.label, ceiling, ours: mine, skipped },
    comparisons: measured.peers.map((peer) => compare(question, mine, sideOf(peer))),
  };
}

/** The ratio of each round by itself: only neighbours in time are compared. */
function compare(question: Question, mine: SideFigures, peer: SideFigures): Comparison {
  const ratios = mine.samples.map((sample, round) => {
    const [a, b] = [figureOf(question, sample), figureOf(question, peer.samples[round]!)];
    return question.measures === 'latency' ? b / a : a / b;
  });
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)];
  return { peer, ratio: median(ratios), lowest, highest };
}
