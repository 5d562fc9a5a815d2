/**
 * Asks one question: the ceiling of the load against the sink, then rounds in which ours and each
 * peer take turns on empty folders, so that a slow minute of the machine hits both.
 */

import { median } from './facts.ts';
import { runLoad, startSink } from './load/child.ts';
import { type LoadResult, type LoadSpec, wireOf } from './load/spec.ts';
import { ours } from './peers/ours.ts';
import type { Side } from './peers/peer.ts';
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
  /** CPU time of the server during the whole load, in microseconds for each message. */
  readonly serverCpuUs: number;
}

export interface SideFigures {
  readonly name: string;
  readonly version: string;
  readonly setting: string;
  readonly durability: string;
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
    for (let round = 0; round < effort.rounds; round++) {
      for (const side of sides) {
        const sample = await sampleOf(question, row, side, round, effort);
        samples.get(side)?.push(sample);
        effort.report(`  ${side.name} (${side.setting}): ${describe(question, sample)}`);
      }
    }
    rows.push(figuresOf(question, row, ceiling, peers, samples, skipped));
  }
  return rows;
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
  const plain = { verify: false, audit: false, batch: 1 };
  return { ...plain, ...row.load, port, warmMs, runMs, records, name };
}

async function ceilingOf(question: Question, row: Row, effort: Effort): Promise<number> {
  const sink = await startSink(wireOf(row.load.load));
  try {
    return figureOf(question, await runLoad(specOf(row, effort, sink.port, 'ceiling')));
  } finally {
    await sink.stop();
  }
}

async function sampleOf(
  question: Question,
  row: Row,
  side: Side,
  round: number,
  effort: Effort,
): Promise<Sample> {
  const running = await side.start(wireOf(row.load.load));
  try {
    const quorum = question.quorumByPeer === true && side.setting.startsWith('quorum');
    const name = `${question.name}${quorum ? '-quorum' : ''}`;
    const spec = specOf(row, effort, running.port, name);
    const before = running.process.cpuSeconds();
    const result = await runLoad({ ...spec, verify: round === 0, audit: round === 0 });
    const cpu = running.process.cpuSeconds() - before;
    const share = result.seconds / (result.seconds + spec.warmMs / 1000);
    return { ...result, serverCpuUs: (cpu * 1e6 * share) / result.messages };
  } catch (error) {
    throw new Error(
      `${question.name}, ${side.name} (${side.setting}): ${(error as Error).message}`,
    );
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
  const notes = sample.verified === undefined ? '' : `; verified: ${sample.verified}`;
  const lost = sample.lost > 0 ? `; ${sample.lost} lost` : '';
  return `${value} ${unit}, server ${sample.serverCpuUs.toFixed(2)} us CPU each${lost}${notes}`;
}

function figuresOf(
  question: Question,
  row: Row,
  ceiling: number,
  peers: readonly Side[],
  samples: ReadonlyMap<Side, readonly Sample[]>,
  skipped: readonly string[],
): RowFigures {
  const sideOf = (side: Side): SideFigures => {
    const own = samples.get(side) ?? [];
    const { name, setting, durability } = side;
    const middle = median(own.map((sample) => figureOf(question, sample)));
    return { name, setting, durability, version: side.version(), samples: own, median: middle };
  };
  const mine = sideOf(ours);
  const { name, title, measures } = question;
  return {
    ...{ question: name, title, measures, label: row.label, ceiling, ours: mine, skipped },
    comparisons: peers.map((peer) => compare(question, mine, sideOf(peer))),
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
