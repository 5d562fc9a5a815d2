/** Finds the offsets of each log that nothing holds any more, after damage was seen. */
import type { EngineCore } from '../engine.ts';
import type { DamagedRange } from '../log-engine.ts';
import type { Shard } from '../shard.ts';

export async function findGaps(core: EngineCore): Promise<DamagedRange[]> {
  const gaps: DamagedRange[] = [];
  for (const log of core.logs.values()) {
    let next = log.startOffset;
    const covered = (first: number, end: number): void => {
      if (first > next) gaps.push(gap(log, next, first));
      next = Math.max(next, end);
    };
    for (const run of await core.runs.of(log.id)) covered(run.firstOffset, run.endOffset);
    for (const row of log.places) covered(core.rows.base(row), core.rows.end(row));
    if (log.highWatermark > next) gaps.push(gap(log, next, log.highWatermark));
  }
  for (const range of gaps) core.damage.report(range);
  return gaps;
}

function gap(log: Shard, from: number, to: number): DamagedRange {
  return { logId: log.id, from, to, file: '', reason: 'no batch covers these offsets' };
}
