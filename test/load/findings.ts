/** What a check found wrong, counted by kind; and what is allowed but worth counting. */

export const FAULTS = [
  'lost',
  'invented',
  'duplicate',
  'order',
  'moved',
  'acknowledgement lost',
  'stuck',
  'damage',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Finding {
  readonly fault: Fault;
  readonly load: string;
  readonly cycle: number;
  readonly detail: string;
}

/** Findings of one fault of one load that are kept with their words. */
const KEPT = 5;

export class Findings {
  readonly kept: Finding[] = [];
  readonly counts = new Map<Fault, number>();
  /** Things that an acknowledgement allows: repeats of what was in doubt, redeliveries. */
  readonly allowed = new Map<string, number>();
  cycle = 0;

  get total(): number {
    let total = 0;
    for (const count of this.counts.values()) total += count;
    return total;
  }

  add(fault: Fault, load: string, detail: string, count = 1): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + count);
    const like = this.kept.filter((each) => each.fault === fault && each.load === load);
    if (like.length < KEPT) this.kept.push({ fault, load, cycle: this.cycle, detail });
  }

  allow(what: string, count = 1): void {
    if (count > 0) this.allowed.set(what, (this.allowed.get(what) ?? 0) + count);
  }

  /** Keeps the largest value of what is allowed. */
  worst(what: string, value: number): void {
    this.allowed.set(what, Math.max(this.allowed.get(what) ?? 0, Math.round(value)));
  }

  describe(): string {
    return this.kept.map(describeFinding).join('\n');
  }
}

export function describeFinding({ fault, load, cycle, detail }: Finding): string {
  return `cycle ${cycle}, ${load}: ${fault}: ${detail}`;
}
