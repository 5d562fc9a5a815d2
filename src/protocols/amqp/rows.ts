/**
 * Rows of fields compiled to source: each list of fields becomes one reader and one writer function
 * without loops or look-ups, as fast as written by hand. Bits that follow each other share an
 * octet, lowest bit first (specification 4.2.5.2).
 */
import type { readTable, Table, writeTable } from './field-table.ts';
import type { Output } from './output.ts';
import type { WireReader } from './wire-reader.ts';

type FieldKind = 'octet' | 'short' | 'long' | 'longlong' | 'bit' | 'shortstr' | 'longstr' | 'table';

export type FieldRows = Readonly<Record<string, FieldKind>>;

interface KindValues {
  octet: number;
  short: number;
  long: number;
  longlong: number;
  bit: boolean;
  shortstr: string;
  longstr: Buffer;
  table: Table;
}

/** The object that a list of fields stands for. */
export type FieldValues<Rows extends FieldRows> = {
  readonly [Field in keyof Rows]: KindValues[Rows[Field]];
};

export type ReadFields = (reader: WireReader, table: typeof readTable) => object;
export type WriteFields = (output: Output, fields: object, table: typeof writeTable) => void;

const BITS_PER_OCTET = 8;

export function compileReader(rows: FieldRows): ReadFields {
  const lines: string[] = [];
  let bit = 0;
  for (const [name, kind] of Object.entries(rows)) {
    const field = JSON.stringify(name);
    if (kind === 'bit') {
      if (bit % BITS_PER_OCTET === 0) lines.push(`let bits${bit >> 3} = reader.octet(${field});`);
      lines.push(`const ${name} = (bits${bit >> 3} & ${1 << (bit % BITS_PER_OCTET)}) !== 0;`);
      bit++;
      continue;
    }
    // A new run of bits starts a new octet.
    bit = Math.ceil(bit / BITS_PER_OCTET) * BITS_PER_OCTET;
    lines.push(
      kind === 'table'
        ? `const ${name} = table(reader, ${field});`
        : `const ${name} = reader.${kind}(${field});`,
    );
  }
  lines.push(`return { ${Object.keys(rows).join(', ')} };`);
  return new Function('reader', 'table', lines.join('\n')) as ReadFields;
}

export function compileWriter(rows: FieldRows): WriteFields {
  const lines: string[] = [];
  let bits: string[] = [];
  const endBits = (): void => {
    if (bits.length > 0) lines.push(`output.octet(${bits.join(' | ')});`);
    bits = [];
  };
  for (const [name, kind] of Object.entries(rows)) {
    if (kind === 'bit') {
      bits.push(`(fields.${name} ? ${1 << bits.length} : 0)`);
      if (bits.length === BITS_PER_OCTET) endBits();
      continue;
    }
    endBits();
    lines.push(
      kind === 'table' ? `table(output, fields.${name});` : `output.${kind}(fields.${name});`,
    );
  }
  endBits();
  return new Function('output', 'fields', 'table', lines.join('\n')) as WriteFields;
}
