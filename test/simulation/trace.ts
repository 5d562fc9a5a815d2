/** What happened, line by line: a hash over all of it, and the last lines for people. */
import { createHash } from 'node:crypto';
import { crc32c } from '#kit';

/** Lines that a failure shows. */
const TAIL_LINES = 60;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #show: ((line: string) => void) | null;
  readonly #nowMs: () => number;
  #tail: string[] = [];
  lines = 0;

  constructor(nowMs: () => number, show: ((line: string) => void) | null) {
    this.#nowMs = nowMs;
    this.#show = show;
  }

  add(text: string): void {
    const line = `${this.#nowMs().toFixed(3)} ${text}`;
    this.lines++;
    this.#hash.update(line);
    this.#hash.update('\n');
    if (this.#tail.length >= TAIL_LINES * 2) this.#tail = this.#tail.slice(-TAIL_LINES);
    this.#tail.push(line);
    this.#show?.(line);
  }

  /** Of bytes only the length and a checksum: enough to tell two runs apart. */
  bytes(text: string, bytes: Uint8Array): void {
    this.add(`${text} ${bytes.length} ${crc32c(bytes).toString(16)}`);
  }

  get tail(): readonly string[] {
    return this.#tail.slice(-TAIL_LINES);
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}
