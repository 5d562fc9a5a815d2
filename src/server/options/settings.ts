/** The effective value of every option, and where each came from. */
import { camel, type OptionRows, type Values } from '#kit';
import { LISTENER_OPTIONS, type ListenerSettings } from '#net';
import { type ListenerTable, listenerSettings } from './listener-tables.ts';
import type { Option, OptionSchema } from './option-schema.ts';
import { type OptionValue, showOption } from './option-value.ts';

export interface Setting {
  readonly option: Option;
  readonly value: OptionValue;
  /** `default`, `file robustmq.toml`, `environment ROBUSTMQ_…` or `flag --…`. */
  readonly from: string;
}

export class Settings {
  readonly schema: OptionSchema;
  readonly #given: ReadonlyMap<string, Setting>;
  readonly #listeners: ReadonlyMap<string, ListenerTable>;

  constructor(
    schema: OptionSchema,
    given: ReadonlyMap<string, Setting>,
    listeners: ReadonlyMap<string, ListenerTable> = new Map(),
  ) {
    this.schema = schema;
    this.#given = given;
    this.#listeners = listeners;
  }

  get(name: string): Setting | undefined {
    const option = this.schema.options.get(name);
    if (option === undefined) return undefined;
    return this.#given.get(name) ?? { option, value: option.row.default, from: 'default' };
  }

  /** True when anybody set the option, even to its default. */
  isGiven(name: string): boolean {
    return this.#given.has(name);
  }

  /** The values of one section under their camelCase names. */
  section<Rows extends OptionRows>(name: string, rows: Rows): Values<Rows> {
    const values: Record<string, OptionValue> = {};
    for (const key of Object.keys(rows)) values[camel(key)] = this.get(`${name}.${key}`)!.value;
    return values as Values<Rows>;
  }

  /** The values of a protocol's section on one listener: its table, then the section. */
  sectionAt<Rows extends OptionRows>(name: string, rows: Rows, listener: string): Values<Rows> {
    const table = this.#listeners.get(listener);
    const values: Record<string, OptionValue> = { ...this.section(name, rows) };
    for (const [key, { value }] of table ?? []) {
      if (Object.hasOwn(rows, key) && !Object.hasOwn(LISTENER_OPTIONS, key)) {
        values[camel(key)] = value;
      }
    }
    return values as Values<Rows>;
  }

  /** Listeners that have a table of their own. */
  listenerNames(): Iterable<string> {
    return this.#listeners.keys();
  }

  listenerTable(name: string): ListenerTable | undefined {
    return this.#listeners.get(name);
  }

  /** What holds for a listener: its table, then the sections `server` and `tls`. */
  listener(name: string): ListenerSettings {
    return listenerSettings(
      this.#listeners.get(name),
      (key) => (this.get(`server.${key}`) ?? this.get(`tls.${key}`))?.value,
    );
  }

  /** All settings as a TOML file whose comments say where each value came from. */
  show(): string {
    const lines: string[] = [];
    for (const { name, rows } of this.schema.sections) {
      lines.push(`[${name}]`);
      for (const key of Object.keys(rows)) {
        const { value, from } = this.get(`${name}.${key}`)!;
        const shown = isSecret(key) && value !== '' ? '"…"' : showOption(value);
        lines.push(`${`${key} = ${shown}`.padEnd(44)} # ${oneLine(from)}`);
      }
      lines.push('');
    }
    for (const [name, table] of this.#listeners) {
      lines.push(`[listeners.${name}]`);
      for (const [key, { value, from }] of table) {
        lines.push(`${`${key} = ${showOption(value)}`.padEnd(44)} # ${oneLine(from)}`);
      }
      lines.push('');
    }
    return lines.join('\n');
  }
}

/** A file's name may hold anything; a comment may not. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

function isSecret(key: string): boolean {
  return /(^|-)(password|secret|token)$/.test(key);
}
