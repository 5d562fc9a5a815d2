/** What the house tests read: the project's own files, their lines and their imports. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '..');

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly file: string;
  readonly text: string;
  readonly lines: readonly string[];
}

/** Files by pattern; captured bytes and programs in other languages are not ours. */
export function readFiles(pattern: string): SourceFile[] {
  return globSync(pattern, { cwd: ROOT, exclude: ['node_modules/**', 'test/golden/**'] })
    .map((file) => file.replaceAll('\\', '/'))
    .toSorted()
    .map((file) => {
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      return { file, text, lines: text.split('\n') };
    });
}

/** Beside the code, but not part of what runs in the server. */
export function isTest(file: string): boolean {
  return /\.(test|fuzz|bench|contract|fixture|suite)\.ts$/.test(file);
}

export interface Import {
  readonly from: string;
  /** Nothing of it is left when the types are stripped. */
  readonly typeOnly: boolean;
}

/** Every import and re-export of a file. */
export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const clause = /^(?:import|export)\s+(type\s+)?([\w*{][^'";]*?)\s*\bfrom\s+['"]([^'"]+)['"]/gm;
  for (const [, type, names = '', from = ''] of text.matchAll(clause)) {
    found.push({ from, typeOnly: type !== undefined || allTypes(names) });
  }
  for (const [, from = ''] of text.matchAll(/^import\s+['"]([^'"]+)['"]/gm)) {
    found.push({ from, typeOnly: false });
  }
  for (const [, from = ''] of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) {
    found.push({ from, typeOnly: false });
  }
  return found;
}

/** `{ type A, type B }` */
function allTypes(names: string): boolean {
  const [, inner] = /^\{([^}]*)\}$/.exec(names.trim()) ?? [];
  if (inner === undefined) return false;
  const parts = inner.split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '').every((part) => part.startsWith('type '));
}
