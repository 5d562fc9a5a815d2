/** Holds a contest: rounds in which all sides take turns, medians, and ratios of neighbours. */

import { execFileSync } from 'node:child_process';
import type { Contest, Contestant, ContestRow, Measured, Spread } from './contest.ts';
import { median } from './facts.ts';
import type { Ratio } from './figures.ts';
import { shortNumber } from './lines.ts';
import type { Running, Side } from './peers/peer.ts';
import type { Effort } from './turns.ts';

export interface Held {
  readonly rows: readonly ContestRow[];
  /** Sides that could not run here, with the reason. */
  readonly skipped: readonly string[];
}

/** Figures of all rounds, by side. */
type Found = ReadonlyMap<Side, readonly (readonly Measured[])[]>;

export async function contend(contest: Contest, effort: Effort): Promise<Held> {
  const skipped: string[] = [];
  const missing = new Set<Side>();
  const sides = [...new Set(contest.pairs.flat())].filter((side) => {
    const reason = whyMissing(side);
    if (reason === undefined) return true;
    missing.add(side);
    skipped.push(`${side.name} (${side.setting}): ${reason}`);
    return false;
  });
  const found = await turnsOf(contest, sides, effort);
  return { rows: rowsOf(contest, found, missing), skipped };
}

function whyMissing(side: Side): string | undefined {
  try {
    side.install();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function turnsOf(contest: Contest, sides: readonly Side[], effort: Effort): Promise<Found> {
  const found = new Map<Side, (readonly Measured[])[]>(sides.map((side) => [side, []]));
  const up = new Servers(contest);
  try {
    for (let round = 0; round < effort.rounds; round++) {
      for (const [at, side] of sides.entries()) {
        // What the last turn left in the page cache must not be written at the cost of this one.
        execFileSync('sync');
        const name = `${contest.name}-${at}-${round}`;
        const start = () => up.start(side);
        const turn = { side, round, name, share: effort.recordShare, start };
        const figures = await contest.measure(turn);
        await up.endTurn();
        found.get(side)!.push(figures);
        const words = figures.map(
          ({ what, value, unit }) => `${what} ${shortNumber(value)} ${unit}`,
        );
        effort.report(`  ${side.name} (${side.setting}): ${words.join('; ')}`);
      }
    }
  } finally {
    await up.close();
  }
  return found;
}

/** Sides with the same `start` are one server where servers stay up. */
class Servers {
  readonly #contest: Contest;
  readonly #up = new Map<Side['start'], Running>();

  constructor(contest: Contest) {
    this.#contest = contest;
  }

  async start({ start }: Side): Promise<Running> {
    const running = this.#up.get(start) ?? (await start(this.#contest.wire));
    this.#up.set(start, running);
    return running;
  }

  async endTurn(): Promise<void> {
    if (this.#contest.staysUp !== true) await this.close();
  }

  async close(): Promise<void> {
    const all = [...this.#up.values()];
    this.#up.clear();
    for (const running of all) await running.stop();
  }
}

function rowsOf({ pairs }: Contest, found: Found, missing: ReadonlySet<Side>): ContestRow[] {
  const rows: ContestRow[] = [];
  const whats = new Set([...found.values()].flat(2).map(({ what }) => what));
  for (const what of whats) {
    for (const [mine, theirs] of pairs) {
      const of = (side: Side) => valuesOf(found.get(side) ?? [], what);
      const first = (found.get(mine) ?? []).flat().find((one) => one.what === what);
      if (first === undefined) continue;
      const { unit, x, atMost } = first;
      const beside = missing.has(theirs)
        ? {}
        : {
            theirs: { ...contestant(theirs, of(theirs)), of: ratioOf(unit, of(mine), of(theirs)) },
          };
      rows.push({
        ...{ what, unit, mine: contestant(mine, of(mine)) },
        ...(x === undefined ? {} : { x }),
        ...(atMost === undefined ? {} : { atMost }),
        ...beside,
      });
    }
  }
  return rows;
}

function valuesOf(rounds: readonly (readonly Measured[])[], what: string): number[] {
  return rounds.map((all) => all.find((one) => one.what === what)?.value ?? Number.NaN);
}

function contestant(side: Side, values: readonly number[]): Contestant {
  const { name, setting, durability } = side;
  return { name, version: side.version(), setting, durability, ...spreadOf(values) };
}

function spreadOf(values: readonly number[]): Spread {
  return { value: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

/** Round by round, since only neighbours in time are compared; more is better for us. */
function ratioOf(unit: string, mine: readonly number[], theirs: readonly number[]): Ratio {
  const ratios = mine.map((value, n) => (unit === '/s' ? value / theirs[n]! : theirs[n]! / value));
  return { ratio: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}
