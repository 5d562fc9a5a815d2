/** Where a share group begins in a partition that is new to it: `share.auto.offset.reset`. */
import type { Partition } from '#broker';

const DURATION =
  /^by_duration:P(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,10})S)?)?$/;

/** What is wrong with the value, or null. */
export function offsetResetFault(text: string): string | null {
  if (text === 'earliest' || text === 'latest' || durationMs(text) !== null) return null;
  return `'${text}' is not earliest, latest or by_duration:PnDTnHnMnS`;
}

/** @param reset a value without a fault */
export function firstOffsetOf(
  partition: Partition,
  reset: string,
  nowMs: number,
): number | Promise<number> {
  if (reset === 'earliest') return partition.startOffset;
  const ageMs = durationMs(reset);
  if (ageMs === null) return partition.highWatermark;
  return partition
    .findByTime(nowMs - ageMs)
    .then((found) => found?.offset ?? partition.highWatermark);
}

function durationMs(text: string): number | null {
  const found = DURATION.exec(text);
  if (found === null || /[PT]$/.test(text)) return null;
  const [days, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  return (((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1000;
}
