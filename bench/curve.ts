/** The shape of a curve: what our server, or a peer beside it, does as one number grows. */

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Curve {
  readonly name: string;
  readonly title: string;
  /** What grows, and what is measured: the labels of the axes. */
  readonly x: string;
  readonly y: string;
  /** Why it is not flat, where it is not. */
  readonly explained: string;
  /** @param share of the largest size, for a quick run */
  measure(share: number, report: (line: string) => void): Promise<readonly Series[]>;
}
