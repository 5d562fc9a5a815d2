/**
 * How fast the background may copy. Unhurried it moves a little more than what is appended, in
 * small steps, so that the disk and the event loop are free when an append comes: after each step
 * it rests for some times as long as the step took, so a slow disk is given more rest, and longer
 * when commits take longer than without it. The more full write-ahead files wait, the faster it
 * goes; and when they wait all the same, commits are slowed down to what the background manages: a
 * writer at full speed meets a slope, not a wall.
 */
import type { Clock, Timers } from '#kit';
import type { EngineLimits } from '../limits.ts';
import { LANE } from '../segments/segment-codec.ts';
import { CommitWatch } from './commit-watch.ts';

/** Copied for each byte that is appended: read and written for level 1, then merged. */
const COPIES = 6;
/** Rests for so many times as long as a step took, without any pressure. */
const RESTS = 3;
/** A step that seems to take longer was none: its lane had nothing to do meanwhile. */
const STEP_MS_MAX = 50;
const WINDOW_MS = 1_000;
/** Longest rest after a step, and longest wait without a look at the pressure. */
const PAUSE_MS_MAX = 100;
/** From this pressure on the background does not rest. */
const HURRY = 0.5;
/** From this pressure on merges wait for level 1, and both become faster until they hurry. */
const LEVEL_ONE_FIRST = 0.25;
/** From this pressure on commits are slowed down. */
const SLOW = 0.5;
/** Longest delay of one commit. */
const DELAY_MS_MAX = 250;
/** Expected of level 1 before it was measured. */
const DRAIN_FIRST = 48 * 2 ** 20;
const DRAIN_MIN = 2 ** 20;

/** What a merge is ended with when the engine closes. */
export class Stopped extends Error {}

export interface PacerParts {
  readonly limits: EngineLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  /** What waits for level 1, as a share of what may: 0 to 1. */
  readonly pressure: () => number;
  /** True when merges are so far behind that they may not wait for level 1. */
  readonly mergesAreBehind: () => boolean;
}

export class Pacer {
  readonly #parts: PacerParts;
  /** Bytes of bodies that were committed, now and when the window began. */
  #appended = 0;
  #windowAppended = 0;
  #windowMs: number;
  #appendRate = 0;
  /** What level 1 moves in a second when it does not rest. */
  #drainRate = DRAIN_FIRST;
  /** When what was copied would be paid for at the set rate. */
  #paidMs: number;
  /** The same for commits under pressure. */
  #commitMs: number;
  /** Merges that let level 1 go first. */
  #waiting: (() => void)[] = [];
  #stopped = false;
  /** When each lane began its step; negative while it rests or has nothing to do. */
  readonly #begunMs = [-1, -1];
  readonly #watch = new CommitWatch();

  constructor(parts: PacerParts) {
    this.#parts = parts;
    const nowMs = parts.clock.monotonicMs();
    this.#windowMs = nowMs;
    this.#paidMs = nowMs;
    this.#commitMs = nowMs;
  }

  /** Size of one step of copying: small ones disturb less, large ones cost less. */
  get stepBytes(): number {
    return this.#parts.pressure() >= HURRY ? 2 ** 20 : 2 ** 17;
  }

  /** From now on nothing rests: the engine is closing. */
  stop(): void {
    this.#stopped = true;
    this.backlogChanged();
  }

  /** Level 1 has moved a file, or files are free again: merges that gave way look once more. */
  backlogChanged(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /** True while a lane is in a step, but for one that hangs: ask when a commit begins. */
  get isWorking(): boolean {
    const sinceMs = this.#parts.clock.monotonicMs() - STEP_MS_MAX;
    const [one, other] = this.#begunMs;
    return (one! >= 0 && one! > sinceMs) || (other! >= 0 && other! > sinceMs);
  }

  /**
   * Takes note of a commit.
   * @param beside what `isWorking` was when it began
   */
  committed(bytes: number, tookMs: number, beside: boolean): void {
    this.#appended += bytes;
    this.#watch.note(bytes, tookMs, beside, this.#parts.clock.monotonicMs());
  }

  /** A lane has nothing to do until its next step. */
  idle(lane: number): void {
    this.#begunMs[lane] = -1;
  }

  /** Takes note of how long level 1 took for so many bytes. */
  drained(bytes: number, tookMs: number): void {
    this.backlogChanged();
    if (tookMs <= 0 || this.#parts.pressure() < HURRY) return;
    const rate = (bytes * 1000) / tookMs;
    this.#drainRate = Math.max(DRAIN_MIN, this.#drainRate * 0.6 + rate * 0.4);
  }

  /**
   * Resolves when the background may go on after a step of so many bytes; others come first.
   * Rejects merges when the engine is closing: they would take long and can be done again.
   */
  async pass(bytes: number, lane: number): Promise<void> {
    const { clock, pressure, mergesAreBehind } = this.#parts;
    const stepMs = this.#stepEnds(lane);
    if (lane === LANE.merge) {
      while (!this.#stopped && pressure() > LEVEL_ONE_FIRST && !mergesAreBehind()) {
        await new Promise<void>((look) => this.#waiting.push(look));
      }
      if (this.#stopped) throw new Stopped();
    }
    const nowMs = clock.monotonicMs();
    const rate = this.#rate(nowMs);
    this.#paidMs = Math.max(this.#paidMs, nowMs - WINDOW_MS / 10) + (bytes * 1000) / rate;
    const restMs = stepMs * RESTS * Math.max(0, 1 - pressure() / HURRY);
    await this.#pause(Math.max(this.#paidMs, nowMs + Math.min(restMs, PAUSE_MS_MAX)));
    this.#begunMs[lane] = clock.monotonicMs();
  }

  /** Waits for that time, unless hurry comes up meanwhile: then what is not paid is forgiven. */
  async #pause(untilMs: number): Promise<void> {
    const { clock, timers, pressure } = this.#parts;
    for (let paused = false; ; paused = true) {
      const nowMs = clock.monotonicMs();
      const isHurry = this.#stopped || pressure() >= HURRY;
      if (isHurry) this.#paidMs = Math.min(this.#paidMs, nowMs);
      const leftMs = isHurry ? 0 : untilMs - nowMs;
      if (leftMs >= 1) {
        await new Promise<void>((go) => timers.after(Math.min(leftMs, PAUSE_MS_MAX), go));
      } else {
        if (!paused) await new Promise<void>((go) => timers.soon(go));
        return;
      }
    }
  }

  /** How long the step took that a lane ends now. */
  #stepEnds(lane: number): number {
    const begunMs = this.#begunMs[lane]!;
    this.#begunMs[lane] = -1;
    return begunMs < 0 ? 0 : Math.min(this.#parts.clock.monotonicMs() - begunMs, STEP_MS_MAX);
  }

  /**
   * Bytes that may wait for their commit. Under pressure no more than what is written in a moment:
   * who writes is told early and often, not seldom and for long.
   */
  get inFlightBytesMax(): number {
    const { limits, pressure } = this.#parts;
    if (pressure() < SLOW) return limits.inFlightBytesMax;
    const moment = (this.#drainRate * PAUSE_MS_MAX) / 1000;
    return Math.min(limits.inFlightBytesMax, Math.max(moment, limits.inFlightBytesMax / 64));
  }

  /** How long the next commit of so many bytes has to wait. */
  delayMs(bytes: number): number {
    const pressure = this.#parts.pressure();
    if (pressure < SLOW || this.#stopped) return 0;
    const nowMs = this.#parts.clock.monotonicMs();
    // Twice what level 1 manages where the slope begins, half of it where the backlog is full.
    const share = (1 - Math.min(1, pressure)) / (1 - SLOW);
    const rate = this.#drainRate * (0.5 + 1.5 * share);
    const from = Math.max(this.#commitMs, nowMs - PAUSE_MS_MAX);
    this.#commitMs = Math.min(from + (bytes * 1000) / rate, nowMs + DELAY_MS_MAX);
    const delayMs = this.#commitMs - nowMs;
    return delayMs < 1 ? 0 : delayMs;
  }

  #rate(nowMs: number): number {
    const passedMs = nowMs - this.#windowMs;
    if (passedMs >= WINDOW_MS) {
      const rate = ((this.#appended - this.#windowAppended) * 1000) / passedMs;
      this.#appendRate = Math.max(rate, this.#appendRate * 0.7);
      this.#windowAppended = this.#appended;
      this.#windowMs = nowMs;
    }
    const pressure = this.#parts.pressure();
    if (pressure >= HURRY) return Number.POSITIVE_INFINITY;
    const spare = this.#parts.limits.backgroundBytesPerSecond / this.#watch.factorAt(nowMs);
    const urgent = Math.max(0, pressure - LEVEL_ONE_FIRST) / (HURRY - LEVEL_ONE_FIRST);
    return (spare + this.#appendRate * COPIES) * (1 + 3 * urgent);
  }
}
