/**
 * Inputs that are kept, as lines of hex: `corpus/<target>/found.hex` has those that reach different
 * code, `corpus/<target>/regressions.hex` those that once showed a mistake, each behind the word
 * that says which.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, 'corpus');

export interface Regression {
  readonly word: string;
  readonly input: Buffer;
}

export function foundInputs(target: string): Buffer[] {
  return linesOf(target, 'found.hex').map((line) => Buffer.from(line, 'hex'));
}

export function regressions(target: string): Regression[] {
  return linesOf(target, 'regressions.hex').map((line) => {
    const [word = '', hex = ''] = line.split(/\s+/);
    return { word, input: Buffer.from(hex, 'hex') };
  });
}

export function saveFound(target: string, inputs: readonly Buffer[]): void {
  mkdirSync(path.join(ROOT, target), { recursive: true });
  const lines = inputs.map((input) => input.toString('hex')).toSorted();
  writeFileSync(path.join(ROOT, target, 'found.hex'), `${lines.join('\n')}\n`);
}

function linesOf(target: string, name: string): string[] {
  const file = path.join(ROOT, target, name);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}
