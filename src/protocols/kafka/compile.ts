/**
 * Turns rows into one reader and one writer per version, as JavaScript source: the versions and
 * types are decided once, and what runs per message is straight code. The source is made of the
 * rows of this room only, never of anything that came from outside.
 */
import { assert } from '#kit';
import type { Reader } from './reader.ts';
import { type Decoded, type Encodable, type Row, type Rows, ZERO_UUID } from './rows.ts';
import type { Writer } from './writer.ts';

export type Read<Of extends Rows> = (reader: Reader) => Decoded<Of>;
export type Write<Of extends Rows> = (writer: Writer, message: Encodable<Of>) => void;

interface Level {
  readonly version: number;
  readonly flexible: boolean;
}

const SIZES: Readonly<Record<string, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint16: 2,
  uint32: 4,
  float64: 8,
  uuid: 16,
};

/** Types with a length in front, and their method on reader and writer. */
const SIZED: Readonly<Record<string, string>> = {
  string: 'String',
  bytes: 'Blob',
  records: 'Blob',
};

export function compileReader<Of extends Rows>(
  rows: Of,
  version: number,
  flexible: boolean,
): Read<Of> {
  const source = new ReaderSource({ version, flexible });
  const name = source.struct(rows, '');
  return new Function(`${source.functions.join('\n')}\nreturn ${name};`)() as Read<Of>;
}

export function compileWriter<Of extends Rows>(
  rows: Of,
  version: number,
  flexible: boolean,
): Write<Of> {
  const source = new WriterSource({ version, flexible });
  const name = source.struct(rows);
  return new Function(`${source.functions.join('\n')}\nreturn ${name};`)() as Write<Of>;
}

function present(row: Row, { version }: Level): boolean {
  return version >= (row.since ?? 0) && version <= (row.until ?? 0x7fff);
}

function nullable(row: Row, { version }: Level): boolean {
  return row.nullable !== undefined && version >= row.nullable;
}

function sizedMethod(type: string, mayBeNull: boolean, { flexible }: Level): string {
  const method = `${flexible ? 'compact' : ''}${mayBeNull ? 'Nullable' : ''}${SIZED[type]}`;
  return method.charAt(0).toLowerCase() + method.slice(1);
}

/** Bytes that one element takes at least: the cap on array lengths (K8). Never 0. */
function bytesMin(of: Rows | string, level: Level): number {
  if (typeof of === 'string') return SIZES[of] ?? prefixBytes(of, level);
  let size = level.flexible ? 1 : 0;
  for (const row of of) {
    if (row.tag !== undefined || !present(row, level)) continue;
    if (row.type === 'struct') size += nullable(row, level) ? 1 : bytesMin(row.of, level);
    else size += SIZES[row.type] ?? prefixBytes(row.type, level);
  }
  return Math.max(1, size);
}

function prefixBytes(type: string, { flexible }: Level): number {
  if (flexible) return 1;
  return type === 'string' ? 2 : 4;
}

/** Source text of a row's value where the version or the sender leaves it out. */
function defaultSource(row: Row): string {
  if (row.default !== undefined) return JSON.stringify(row.default);
  if (row.type === 'array') return '[]';
  if (row.type === 'struct') {
    return `{ ${row.of.map((inner) => `${inner.name}: ${defaultSource(inner)}`).join(', ')} }`;
  }
  if (row.type === 'string') return "''";
  if (row.type === 'uuid') return JSON.stringify(ZERO_UUID);
  if (row.type === 'bool') return 'false';
  if (row.type === 'bytes' || row.type === 'records') return 'null';
  return '0';
}

class ReaderSource {
  readonly functions: string[] = [];
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  /** Adds a function that reads one struct: returns its name. */
  struct(rows: Rows, path: string): string {
    const lines: string[] = [];
    const tagged: Row[] = [];
    rows.forEach((row, index) => {
      if (row.tag !== undefined && present(row, this.#level)) {
        assert(this.#level.flexible, `tagged field ${row.name} needs a flexible version`);
        tagged.push(row);
        lines.push(`let v${index} = ${defaultSource(row)};`);
      } else if (present(row, this.#level)) {
        lines.push(`let v${index};`, this.#value(row, `v${index}`, path + row.name));
      } else {
        lines.push(`const v${index} = ${defaultSource(row)};`);
      }
    });
    if (this.#level.flexible) lines.push(this.#tags(rows, tagged, path));
    const fields = rows.map((row, index) => `${row.name}: v${index}`).join(', ');
    const name = `read${this.functions.length}`;
    this.functions.push(`function ${name}(r) {\n${lines.join('\n')}\nreturn { ${fields} };\n}`);
    return name;
  }

  #tags(rows: Rows, tagged: readonly Row[], path: string): string {
    const field = JSON.stringify(`${path}tags`);
    if (tagged.length === 0) return `r.skipTags(${field});`;
    const cases = tagged.map((row) => {
      const value = this.#value(row, `v${rows.indexOf(row)}`, path + row.name);
      return `case ${row.tag}: { ${value}\nr.closeTag(end, ${JSON.stringify(path + row.name)}); break; }`;
    });
    return [
      `for (let left = r.tagCount(${field}); left > 0; left--) {`,
      `const tag = r.unsigned(${field}); const end = r.tagEnd(${field});`,
      `switch (tag) { ${cases.join('\n')}\ndefault: r.at = end; }`,
      '}',
    ].join('\n');
  }

  #value(row: Row, variable: string, path: string): string {
    const field = JSON.stringify(path);
    const mayBeNull = nullable(row, this.#level);
    if (row.type === 'struct') {
      const read = `${this.struct(row.of, `${path}.`)}(r)`;
      return `${variable} = ${mayBeNull ? `r.present(${field}) ? ${read} : null` : read};`;
    }
    if (row.type === 'array') return this.#array(row.of, variable, path, mayBeNull);
    return `${variable} = ${this.#scalar(row.type, path, mayBeNull)};`;
  }

  #array(of: Rows | string, variable: string, path: string, mayBeNull: boolean): string {
    const field = JSON.stringify(path);
    const count = this.#level.flexible ? 'compactArrayCount' : 'arrayCount';
    const element =
      typeof of === 'string' ? this.#scalar(of, path, false) : `${this.struct(of, `${path}.`)}(r)`;
    return [
      `{ const count = r.${count}(${bytesMin(of, this.#level)}, ${field});`,
      mayBeNull ? `if (count < 0) ${variable} = null; else {` : `r.noNullArray(count, ${field}); {`,
      `${variable} = [];`,
      `for (let i = 0; i < count; i++) ${variable}.push(${element});`,
      '} }',
    ].join('\n');
  }

  #scalar(type: string, path: string, mayBeNull: boolean): string {
    const field = JSON.stringify(path);
    const method = type in SIZED ? sizedMethod(type, mayBeNull, this.#level) : type;
    return `r.${method}(${field})`;
  }
}

class WriterSource {
  readonly functions: string[] = [];
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  struct(rows: Rows): string {
    const lines: string[] = [];
    const tagged: Row[] = [];
    for (const row of rows) {
      if (!present(row, this.#level)) continue;
      if (row.tag !== undefined) tagged.push(row);
      else lines.push(this.#value(row, this.#given(row)));
    }
    if (this.#level.flexible) lines.push(this.#tags(tagged));
    const name = `write${this.functions.length}`;
    this.functions.push(`function ${name}(w, m) {\n${lines.join('\n')}\n}`);
    return name;
  }

  #given(row: Row): string {
    const partial = row.type === 'array' && (row.since ?? row.until) !== undefined;
    return row.default === undefined && !partial
      ? `m.${row.name}`
      : `(m.${row.name} === undefined ? ${defaultSource(row)} : m.${row.name})`;
  }

  #tags(tagged: readonly Row[]): string {
    if (tagged.length === 0) return 'w.unsigned(0);';
    const lines = ['let count = 0;'];
    const ordered = [...tagged].sort((a, b) => a.tag! - b.tag!);
    for (const row of ordered) {
      lines.push(`const has${row.tag} = ${isGiven(row)}; if (has${row.tag}) count++;`);
    }
    lines.push('w.unsigned(count);');
    for (const row of ordered) {
      const value = this.#value(row, `m.${row.name}`);
      lines.push(`if (has${row.tag}) { w.unsigned(${row.tag}); w.tagged((w) => { ${value} }); }`);
    }
    return lines.join('\n');
  }

  #value(row: Row, value: string): string {
    const mayBeNull = nullable(row, this.#level);
    if (row.type === 'struct') {
      const write = this.struct(row.of);
      if (!mayBeNull) return `${write}(w, ${value});`;
      return `{ const s = ${value}; w.int8(s === null ? -1 : 1); if (s !== null) ${write}(w, s); }`;
    }
    if (row.type === 'array') return this.#array(row.of, value, mayBeNull);
    return this.#scalar(row.type, value, mayBeNull);
  }

  #array(of: Rows | string, value: string, mayBeNull: boolean): string {
    const count = this.#level.flexible ? 'compactArrayCount' : 'arrayCount';
    const element =
      typeof of === 'string' ? this.#scalar(of, 'a[i]', false) : `${this.struct(of)}(w, a[i]);`;
    return [
      `{ const a = ${value};`,
      mayBeNull ? `if (a === null) w.${count}(-1); else {` : '{',
      `w.${count}(a.length);`,
      `for (let i = 0; i < a.length; i++) ${element}`,
      '} }',
    ].join('\n');
  }

  #scalar(type: string, value: string, mayBeNull: boolean): string {
    const method = type in SIZED ? sizedMethod(type, mayBeNull, this.#level) : type;
    return `w.${method}(${value});`;
  }
}

/** Source text: is the tagged field there and different from its default? */
function isGiven(row: Row): string {
  const value = `m.${row.name}`;
  const there = `${value} !== undefined`;
  if (row.type === 'struct') {
    const differs = row.of.map((inner) => `${value}.${inner.name} !== ${defaultSource(inner)}`);
    return `${there} && (${differs.join(' || ')})`;
  }
  if (row.type === 'array' && row.default === undefined) {
    return `${there} && ${value}.length > 0`;
  }
  return `${there} && ${value} !== ${defaultSource(row)}`;
}
