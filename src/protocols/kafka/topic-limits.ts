/**
 * Configs of a topic that bound what producers may send, from what the broker keeps of them. Read
 * for every batch: a topic without such configs costs three look-ups.
 */
import { CODEC_NUMBERS, type StreamSettings } from '#broker';

export const BEFORE_MAX = 'message.timestamp.before.max.ms';
export const AFTER_MAX = 'message.timestamp.after.max.ms';
export const MIN_INSYNC = 'min.insync.replicas';
export const COMPRESSION = 'compression.type';
export const COMPRESSIONS: readonly string[] = ['producer', ...Object.keys(CODEC_NUMBERS)];

/** Latest time that a record may have now. */
export function latestTimeMs(
  { config, appendTime }: StreamSettings,
  nowMs: number,
  aheadMaxMs: number,
): number {
  if (appendTime) return Number.POSITIVE_INFINITY;
  const own = config[AFTER_MAX];
  return nowMs + (own === undefined ? aheadMaxMs : Number(own));
}

/** Earliest time that a record may have now; -1 for any. */
export function earliestTimeMs({ config, appendTime }: StreamSettings, nowMs: number): number {
  const own = config[BEFORE_MAX];
  if (appendTime || own === undefined) return -1;
  return Math.max(-1, nowMs - Number(own));
}

/** The codec that all batches of the topic are to have; -1 for what they come in. */
export function codecOf({ config }: StreamSettings): number {
  const own = config[COMPRESSION];
  return own === undefined || own === 'producer'
    ? -1
    : CODEC_NUMBERS[own as keyof typeof CODEC_NUMBERS];
}

/** With one replica nothing can be acknowledged by two. */
export function lacksReplicas({ config }: StreamSettings): boolean {
  return Number(config[MIN_INSYNC] ?? 1) > 1;
}
