/**
 * What the background costs those who commit, told from how long small commits take: those that
 * began beside a step of it against those that did not. (How they ended must not count: a commit
 * that takes long for any reason meets more steps.) The answer is a factor by which the background
 * goes slower; it follows what the disk is like now, and forgets.
 */

/** Larger commits say more about their size than about the disk. */
const SMALL_BYTES = 65_536;
/** Commits of which one look consists, and those beside steps that it needs among them. */
const LOOK_COMMITS = 64;
const BESIDE_MIN = 4;
/** Undisturbed commits that are needed for a comparison. */
const CALM_MIN = 16;
/** What a mean may be above the undisturbed one, with a margin for coarse clocks. */
const SLOWER_MAX = 1.2;
const MARGIN_MS = 0.1;
const FACTOR_MAX = 16;
/** It gives way quickly and comes back slowly: what a burst of steps costs comes in bursts, too. */
const GIVES_WAY = 1.5;
const COMES_BACK = 0.95;
/** A look is not over before this: a burst is no answer to the last change. */
const LOOK_MS_MIN = 100;
/**
 * Without a look for so long the factor begins to fall, to half of it each time this passes: who
 * has gone, or commits seldom, must not hold up the background for ever.
 */
const FORGETS_MS = 5_000;
/** A commit that took longer was held up by something else: a process that was stopped, say. */
const TOOK_MS_MAX = 100;

export class CommitWatch {
  /** After the last look. */
  #factor = 1;
  /** Mean of undisturbed commits, older ones counting less. */
  #calmMs = 0;
  #calmCount = 0;
  /** Of the present look: all commits, and those beside steps. */
  #looked = 0;
  #besideCount = 0;
  #besideSumMs = 0;
  #lookMs = Number.NEGATIVE_INFINITY;

  /** 1: as fast as planned; 16: a sixteenth of that. */
  factorAt(nowMs: number): number {
    const forgottenMs = nowMs - this.#lookMs - FORGETS_MS;
    if (forgottenMs <= 0) return this.#factor;
    return Math.max(1, this.#factor * 0.5 ** (forgottenMs / FORGETS_MS));
  }

  /**
   * Takes note of a commit that is done.
   * @param beside the background was in a step when it began
   */
  note(bytes: number, tookMs: number, beside: boolean, nowMs: number): void {
    if (bytes > SMALL_BYTES) return;
    const countedMs = Math.min(tookMs, TOOK_MS_MAX);
    if (beside) {
      this.#besideCount++;
      this.#besideSumMs += countedMs;
    } else {
      this.#calmCount = Math.min(this.#calmCount + 1, LOOK_COMMITS * 4);
      this.#calmMs += (countedMs - this.#calmMs) / this.#calmCount;
    }
    if (++this.#looked < LOOK_COMMITS || nowMs - this.#lookMs < LOOK_MS_MIN) return;
    // The less it does, the longer it takes until enough is seen of it.
    if (this.#besideCount < BESIDE_MIN) return;
    this.#look(nowMs);
    this.#looked = 0;
    this.#besideCount = 0;
    this.#besideSumMs = 0;
    this.#lookMs = nowMs;
  }

  #look(nowMs: number): void {
    const slower =
      this.#calmCount >= CALM_MIN &&
      this.#besideSumMs / this.#besideCount > this.#calmMs * SLOWER_MAX + MARGIN_MS;
    const factor = this.factorAt(nowMs) * (slower ? GIVES_WAY : COMES_BACK);
    this.#factor = Math.max(1, Math.min(FACTOR_MAX, factor));
  }
}
