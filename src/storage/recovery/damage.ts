/** Where damage is told: to the reader as an error, to the operator once per range. */
import { BrokerError, type Log } from '#kit';
import type { Instruments } from '../commit/instruments.ts';
import type { DamagedRange } from '../log-engine.ts';

/** Ranges that are remembered to be reported once only. */
const REPORTED_MAX = 10_000;

export class DamageReports {
  readonly #log: Log;
  readonly #instruments: Instruments;
  readonly #reported = new Set<string>();

  constructor(log: Log, instruments: Instruments) {
    this.#log = log;
    this.#instruments = instruments;
  }

  /** Reports a range that cannot be served, and makes the error for its reader. */
  report(range: DamagedRange): BrokerError {
    const key = `${range.logId} ${range.from} ${range.to} ${range.file}`;
    if (!this.#reported.has(key)) {
      if (this.#reported.size >= REPORTED_MAX) this.#reported.clear();
      this.#reported.add(key);
      this.#instruments.damaged.add();
      this.#log.error('stored data is damaged and is not served', { ...range });
    }
    const { from, to } = range;
    return new BrokerError('damaged', `Offsets ${from} to ${to - 1} of log ${range.logId}.`, {
      from,
      to,
    });
  }

  /** Says that one flipped bit of an index record was put right. */
  repaired(file: string, position: number): void {
    this.#instruments.repaired.add();
    this.#log.warn('a flipped bit in an index record was put right', { file, position });
  }
}
