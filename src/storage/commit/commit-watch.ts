/**
 * What the background costs those who commit, told from how long small commits take: those that
 * nothing disturbed against all of them. Its answer is a factor by which the background goes
 * slower; it follows what the disk is like now, and forgets.
 */

/** Larger commits say more about their size than about the disk. */
const SMALL_BYTES = 65_536;
/** Commits of which one look consists. */
const LOOK_COMMITS = 64;
/** Undisturbed commits that are needed for a comparison. */
const CALM_MIN = 16;
/** What a mean may be above the undisturbed one, with a margin for coarse clocks. */
const SLOWER_MAX = 1.25;
const MARGIN_MS = 0.1;
const FACTOR_MAX = 4;
/** A look is not over before this: a burst is no answer to the last change. */
const LOOK_MS_MIN = 100;

export class CommitWatch {
  /** 1: as fast as planned; 4: a quarter of that. */
  factor = 1;
  /** Mean of undisturbed commits, older ones counting less. */
  #calmMs = 0;
  #calmCount = 0;
  #looked = 0;
  #sumMs = 0;
  #lookMs = Number.NEGATIVE_INFINITY;

  /**
   * Takes note of a commit that is done.
   * @param disturbed the background did something meanwhile
   */
  note(bytes: number, tookMs: number, disturbed: boolean, nowMs: number): void {
    if (bytes > SMALL_BYTES) return;
    if (!disturbed) {
      this.#calmCount = Math.min(this.#calmCount + 1, LOOK_COMMITS * 4);
      this.#calmMs += (tookMs - this.#calmMs) / this.#calmCount;
    }
    this.#sumMs += tookMs;
    if (++this.#looked < LOOK_COMMITS || nowMs - this.#lookMs < LOOK_MS_MIN) return;
    const meanMs = this.#sumMs / this.#looked;
    this.#looked = 0;
    this.#sumMs = 0;
    this.#lookMs = nowMs;
    if (this.#calmCount < CALM_MIN) return;
    const slower = meanMs > this.#calmMs * SLOWER_MAX + MARGIN_MS;
    this.factor = slower ? Math.min(FACTOR_MAX, this.factor * 1.5) : Math.max(1, this.factor * 0.8);
  }
}
