/**
 * Which characters of the source ran, told by V8 itself (precise block coverage, in this process).
 * Blocks are compared by the text that they cover: V8 joins neighbours that ran equally often, so
 * their borders differ from look to look. A look costs some ms, so it is taken for a batch of
 * inputs, and for fewer only when the batch had something new.
 */
import { Session } from 'node:inspector';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly scriptId: string;
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

export class Coverage {
  readonly #session = new Session();
  /** By script, one byte per character: 1 when it ever ran. */
  readonly #ran = new Map<string, Uint8Array>();
  #scratch = new Uint8Array(1 << 16);
  /** Characters that ever ran. */
  size = 0;

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /**
   * Looks at what ran since the last look.
   * @param remember from now on that is nothing new
   * @returns characters that never ran before
   */
  look(remember: boolean): number {
    let news = 0;
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: Script[] };
    for (const { scriptId, url, functions } of result) {
      // Readers and writers that are compiled from rows have no address.
      if (url !== '' && !url.includes('/src/')) continue;
      for (const { ranges } of functions) news += this.#compare(scriptId, ranges, remember);
    }
    if (remember) this.size += news;
    return news;
  }

  close(): void {
    this.#session.disconnect();
  }

  /** Ranges come outer ones first, inner ones refine them. */
  #compare(script: string, ranges: readonly Range[], remember: boolean): number {
    const { startOffset: from, endOffset: to, count } = ranges[0]!;
    if (count === 0) return 0;
    if (this.#scratch.length < to - from) this.#scratch = new Uint8Array(2 * (to - from));
    const scratch = this.#scratch;
    for (const range of ranges) {
      scratch.fill(range.count > 0 ? 1 : 0, range.startOffset - from, range.endOffset - from);
    }
    const ran = this.#of(script, to);
    let news = 0;
    for (let at = from; at < to; at++) {
      if (scratch[at - from] === 0 || ran[at] === 1) continue;
      news++;
      if (remember) ran[at] = 1;
    }
    return news;
  }

  #of(script: string, size: number): Uint8Array {
    const known = this.#ran.get(script);
    if (known !== undefined && known.length >= size) return known;
    const larger = new Uint8Array(Math.max(4096, 2 * size));
    if (known !== undefined) larger.set(known);
    this.#ran.set(script, larger);
    return larger;
  }

  /** The inspector of one's own thread answers at once. */
  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}
