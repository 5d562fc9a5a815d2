/** What commands print: tables for people, JSON for programs. */
import type { Row } from './admin-client.ts';

export interface Output {
  rows(rows: readonly Row[], columns: readonly string[]): void;
  record(record: Row): void;
  /** A sentence for people; programs get nothing, the exit code says it. */
  say(sentence: string): void;
}

export function openOutput(json: boolean, write: (text: string) => void): Output {
  return json ? jsonOutput(write) : textOutput(write);
}

function jsonOutput(write: (text: string) => void): Output {
  const print = (value: unknown): void => write(`${JSON.stringify(value, null, 2)}\n`);
  return { rows: (rows) => print(rows), record: print, say() {} };
}

function textOutput(write: (text: string) => void): Output {
  return {
    rows: (rows, columns) => write(tableOf(rows, columns)),
    record: (record) => write(recordOf(record)),
    say: (sentence) => write(`${sentence}\n`),
  };
}

function tableOf(rows: readonly Row[], columns: readonly string[]): string {
  const head = columns.map((column) => column.toUpperCase());
  const lines = [head, ...rows.map((row) => columns.map((column) => shown(row[column])))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)));
  const pad = (line: readonly string[]): string =>
    line
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd();
  return `${lines.map(pad).join('\n')}\n`;
}

function recordOf(record: Row): string {
  const width = Math.max(0, ...Object.keys(record).map((name) => name.length));
  const lines = Object.entries(record).map(([name, value]) =>
    Array.isArray(value) && value.length > 0 && typeof value[0] === 'object'
      ? `${name}:\n${tableOf(value as Row[], Object.keys(value[0] as Row))
          .replace(/^/gm, '  ')
          .trimEnd()}`
      : `${name.padEnd(width)}  ${shown(value)}`,
  );
  return `${lines.join('\n')}\n`;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'string') return printable(value);
  if (typeof value === 'object') return printable(JSON.stringify(value));
  return String(value);
}

/** Names come from clients: control characters must not reach the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
