/** Bytes that real clients sent, captured for the golden tests: the best seeds there are. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../golden');

export function goldenHex(protocol: string): Buffer[] {
  return filesOf(protocol, '.hex').map((file) =>
    Buffer.from(readFileSync(file, 'latin1').replace(/\s+/g, ''), 'hex'),
  );
}

export function goldenBytes(protocol: string, part: string): Buffer[] {
  return filesOf(protocol, '.bin')
    .filter((file) => path.basename(file).includes(part))
    .map((file) => readFileSync(file));
}

export interface GoldenFrame {
  readonly key: number;
  readonly version: number;
  readonly request: string;
  readonly response?: string;
}

export function goldenFrames(): GoldenFrame[] {
  return filesOf('kafka', '.json').flatMap(
    (file) => (JSON.parse(readFileSync(file, 'utf8')) as { frames: GoldenFrame[] }).frames,
  );
}

/** Pieces of at most `bytes`, so that no seed is longer than what mutations can work on. */
export function* pieces(inputs: readonly Buffer[], bytes: number): Iterable<Buffer> {
  for (const input of inputs) yield input.subarray(0, bytes);
}

function filesOf(protocol: string, end: string): string[] {
  const folder = path.join(ROOT, protocol);
  const names = readdirSync(folder).filter((name) => name.endsWith(end));
  return names.toSorted().map((name) => path.join(folder, name));
}
