/**
 * Option rows: one row gives an option its type, default, help text, and with that its key in the
 * TOML file (`<section>.<key>`), its environment name (`ROBUSTMQ_<SECTION>_<KEY>`) and its flag
 * (`--<section>-<key>`). Kebab-case everywhere; rows are declared by the rooms, read by `server/`.
 */

type OptionType = 'boolean' | 'integer' | 'text' | 'list' | 'bytes' | 'duration';

interface Row<T extends OptionType, V> {
  readonly type: T;
  readonly default: V;
  readonly help: string;
  /** For integer, bytes (in bytes) and duration (in ms): smallest and largest accepted value. */
  readonly min?: number;
  readonly max?: number;
  /** For text: the accepted words. */
  readonly choices?: readonly string[];
}

export type OptionRow =
  | Row<'boolean', boolean>
  | Row<'integer', number>
  | Row<'text', string>
  /** Comma-separated in flags and environment, an array in the file. */
  | Row<'list', readonly string[]>
  /** A number of bytes, or text such as `64MiB`, `1GB`. Value: bytes. */
  | Row<'bytes', number>
  /**
   * A number of ms, or text such as `500ms`, `30s`, `2m`, `7d`. Value: ms. -1 = never, where min
   * allows.
   */
  | Row<'duration', number>;

export type OptionRows = Readonly<Record<string, OptionRow>>;

type ValueOf<R extends OptionRow> =
  R extends Row<'boolean', boolean>
    ? boolean
    : R extends Row<'text', string>
      ? string
      : R extends Row<'list', readonly string[]>
        ? readonly string[]
        : number;

/** The values of a set of rows, under camelCase names: row `size-max` gives `sizeMax`. */
export type Values<Rows extends OptionRows> = {
  readonly [Name in keyof Rows as Name extends string ? Camel<Name> : never]: ValueOf<Rows[Name]>;
};

type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;

export function camel(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** All defaults of a set of rows. */
export function defaults<Rows extends OptionRows>(rows: Rows): Values<Rows> {
  const values: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(rows)) values[camel(name)] = row.default;
  return values as Values<Rows>;
}
