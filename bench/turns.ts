/**
 * Turns of servers under load: starts a side on an empty folder for its turn, or keeps it up for a
 * whole question where that is what the side or the question asks for.
 */

import { execFileSync } from 'node:child_process';
import { runLoad } from './load/child.ts';
import { type LoadResult, type LoadSpec, PLAIN, wireOf } from './load/spec.ts';
import type { Running, Side } from './peers/peer.ts';
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
  /** Delay of our event loop in the measured part, 99th percentile in ms. */
  readonly loopDelayMs?: number;
}

/** What a turn is for, beside its row and side. */
export interface Turn {
  readonly name: string;
  /** False: an earlier turn has stored the backlog. */
  readonly fill: boolean;
  /** True: compare content and count what was kept. */
  readonly check: boolean;
}

export class Turns {
  readonly #question: Question;
  readonly #up = new Map<Side['start'], Running>();

  constructor(question: Question) {
    this.#question = question;
  }

  async take(row: Row, side: Side, turn: Turn, effort: Effort): Promise<Sample> {
    if (side.measureUs !== undefined) return measured(side.measureUs());
    // What the last turn left in the page cache must not be written at the cost of this one.
    execFileSync('sync');
    const running = await this.#running(row, side, turn);
    try {
      return await this.#load(running, row, side, turn, effort);
    } catch (error) {
      const who = `${this.#question.name} ${row.label}, ${side.name} (${side.setting})`;
      throw new Error(`${who}: ${(error as Error).message}`);
    } finally {
      if (!this.#up.has(side.start)) await running.stop();
    }
  }

  async close(): Promise<void> {
    for (const running of this.#up.values()) await running.stop();
    this.#up.clear();
  }

  async #running(row: Row, side: Side, turn: Turn): Promise<Running> {
    const up = this.#up.get(side.start);
    if (up !== undefined) return up;
    const running = await side.start(wireOf(row.load.load));
    const kept = this.#question.backlog !== undefined && !turn.check;
    if (side.staysUp === true || kept) this.#up.set(side.start, running);
    return running;
  }

  async #load(running: Running, row: Row, side: Side, turn: Turn, effort: Effort): Promise<Sample> {
    const at = { begin: 0, end: 0 };
    let delay: Promise<number> | undefined;
    const onMoment = (moment: 'begin' | 'end') => {
      at[moment] = running.process.cpuSeconds();
      delay = running.loopDelayMs?.();
      delay?.catch(() => {});
    };
    const spec = specOf(this.#question, row, side, turn, effort);
    const ports = { port: running.port, outPort: running.kafkaPort ?? 0 };
    const { name } = turn;
    const result =
      row.tool === undefined
        ? await runLoad({ ...spec, ...ports }, onMoment)
        : await row.tool({ running, name, runMs: effort.runMs, recordShare: effort.recordShare });
    const loopDelayMs = await delay;
    return {
      ...result,
      serverCpuUs: ((at.end - at.begin) * 1e6) / Math.max(1, result.messages),
      resident: running.process.residentBytes(),
      ...(loopDelayMs === undefined ? {} : { loopDelayMs }),
    };
  }
}

/** Times as long: what has little to do takes longer until its code is compiled. */
const LATENCY_WARM = 3;

/** A load without the ports of a side. */
export function specOf(
  question: Question,
  row: Row,
  side: Side | undefined,
  turn: Turn,
  effort: Effort,
): LoadSpec {
  const records = Math.round((row.load.records ?? 0) * effort.recordShare);
  const warmMs = effort.warmMs * (question.measures === 'latency' ? LATENCY_WARM : 1);
  const shares = question.backlog === 'share' && !turn.check ? effort.rounds : 1;
  return {
    ...{ ...PLAIN, ...row.load, records, take: Math.floor(records / shares), port: 0 },
    ...{ warmMs, runMs: effort.runMs, name: turn.name, fill: turn.fill },
    ...{ verify: turn.check, audit: turn.check, queueType: side?.queueType ?? '' },
  };
}

function measured(us: number): Sample {
  const curve: [number, number][] = [];
  const latency = { p50: us, p99: us, p999: us, max: us, curve };
  const none = {
    messages: 0,
    seconds: 0,
    perSecond: 0,
    megabytesPerSecond: 0,
    lost: 0,
    loadCpu: 0,
  };
  return { ...none, latency, serverCpuUs: 0, resident: 0 };
}
