/**
 * Asks one question: the ceiling of the load against the sink, a check of every side, then rounds
 * in which ours and each peer take turns, so that a slow minute of the machine hits both.
 */

import { median } from './facts.ts';
import {
  CHECK_FAILED,
  type Comparison,
  figureOf,
  type RowFigures,
  ratioOf,
  type SideFigures,
} from './figures.ts';
import { runLoad, startSink } from './load/child.ts';
import { ours, oursWith } from './peers/ours.ts';
import { freshFolder, type Side } from './peers/peer.ts';
import { type HotSpot, profileIn } from './profile.ts';
import type { Question, Row } from './question.ts';
import { type Effort, type Sample, specOf, type Turn, Turns } from './turns.ts';

export async function ask(question: Question, effort: Effort): Promise<RowFigures[]> {
  const rows: RowFigures[] = [];
  const skipped: string[] = [];
  const peers = question.peers.filter((peer) => installs(peer, skipped));
  for (const [index, row] of question.rows.entries()) {
    const turns = new Turns(question);
    try {
      const measured = await measureRow(question, row, { index, peers, turns, effort });
      rows.push(figuresOf(question, row, { ...measured, peers, skipped }));
    } finally {
      await turns.close();
    }
  }
  return rows;
}

interface Asked {
  readonly index: number;
  readonly peers: readonly Side[];
  readonly turns: Turns;
  readonly effort: Effort;
}

type Found = Pick<Measured, 'ceiling' | 'samples' | 'checks'>;

async function measureRow(question: Question, row: Row, asked: Asked): Promise<Found> {
  const { index, peers, turns, effort } = asked;
  const ceiling = await ceilingOf(question, row, effort);
  const sides = [ours, ...peers];
  const samples = new Map<Side, Sample[]>(sides.map((side) => [side, []]));
  const checks = new Map<Side, string>();
  const base = `${question.name}-${index}`;
  for (const [at, side] of sides.entries()) {
    const verified = await check(row, side, `${base}-${at}`, turns, effort);
    checks.set(side, verified);
    effort.report(`  ${side.name} (${side.setting}): ${verified}`);
  }
  for (let round = 0; round < effort.rounds; round++) {
    for (const [at, side] of sides.entries()) {
      const kept = question.backlog !== undefined;
      const name = kept ? `${base}-${at}` : `${base}-${at}-${round}`;
      const turn = { name, fill: !kept || round === 0, check: false };
      const sample = await turns.take(row, side, turn, effort);
      samples.get(side)?.push(sample);
      effort.report(`  ${side.name} (${side.setting}): ${describe(question, sample)}`);
    }
  }
  return { ceiling, samples, checks };
}

const SPOTS_SHOWN = 15;

/**
 * Runs ours alone with V8's profiler and reports the functions that took the most time themselves.
 */
export async function profile(question: Question, effort: Effort): Promise<void> {
  for (const [index, row] of question.rows.entries()) {
    const folder = freshFolder(`profile-${question.name}-${index}`);
    const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
    const side = oursWith('profiled', ours.durability, { nodeFlags });
    const turns = new Turns(question);
    const turn: Turn = { name: question.name, fill: true, check: false };
    const sample = await turns.take(row, side, turn, effort);
    await turns.close();
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

/** 0 where the load is somebody else's program, or goes through two protocols. */
async function ceilingOf(question: Question, row: Row, effort: Effort): Promise<number> {
  if (row.tool !== undefined || question.out !== undefined) return 0;
  const sink = await startSink(row.load.load);
  try {
    const turn: Turn = { name: 'ceiling', fill: true, check: false };
    const spec = specOf(question, row, undefined, turn, effort);
    return figureOf(question, await runLoad({ ...spec, port: sink.port }));
  } finally {
    await sink.stop();
  }
}

/** A short run that compares payloads and counts what the broker kept; its rate means nothing. */
async function check(
  row: Row,
  side: Side,
  name: string,
  turns: Turns,
  effort: Effort,
): Promise<string> {
  if (row.tool !== undefined) return 'the tool checks for itself';
  if (side.measureUs !== undefined) return 'nothing to compare';
  const shorter = { ...effort, warmMs: 0, runMs: 500, recordShare: effort.recordShare / 10 };
  try {
    const turn = { name: `${name}-check`, fill: true, check: true };
    const result = await turns.take(row, side, turn, shorter);
    return result.verified ?? 'nothing to compare';
  } catch (error) {
    return `${CHECK_FAILED}: ${(error as Error).message}`;
  }
}

function describe(question: Question, sample: Sample): string {
  const value = Math.round(figureOf(question, sample)).toLocaleString('en');
  const { latency } = sample;
  const tail =
    latency === undefined
      ? ''
      : `, p99 ${Math.round(latency.p99)} us, p99.9 ${Math.round(latency.p999)} us`;
  const unit = question.measures === 'latency' ? `us${tail}` : '/s';
  const lost = sample.lost > 0 ? `; ${sample.lost} lost` : '';
  const cpu = `server ${sample.serverCpuUs.toFixed(2)} us CPU each`;
  const delay = sample.loopDelayMs;
  const loop = delay === undefined ? '' : `, loop delay p99 ${delay.toFixed(1)} ms`;
  return `${value} ${unit}, ${cpu}, ${Math.round(sample.resident / 1e6)} MB${loop}${lost}`;
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
  const compare = (side: Side): Comparison => {
    const peer = sideOf(side);
    const targets = (row.targets ?? []).filter((target) => target.peer === side);
    return {
      ...{ peer, ...ratioOf(question, mine.samples, peer.samples) },
      targets: targets.map(({ of, atLeast }) => {
        const ratio = ratioOf(question, mine.samples, peer.samples, of);
        const name = of ?? (question.measures === 'latency' ? 'p50' : 'rate');
        return { ...ratio, atLeast, of: name, met: ratio.ratio >= atLeast };
      }),
    };
  };
  const { title, measures } = question;
  return {
    ...{ title, measures, label: row.label, ceiling, ours: mine, skipped },
    comparisons: measured.peers.map(compare),
  };
}
