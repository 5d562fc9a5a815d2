/** Which tier runs: the fast one by default, everything with `npm run test:full`. */
export const FULL = process.env['TEST_TIER'] === 'full';

/** One of two sizes, by tier. */
export function size(fast: number, full: number): number {
  return FULL ? full : fast;
}
