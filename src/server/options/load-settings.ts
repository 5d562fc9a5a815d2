/**
 * Reads the options from their sources: the default is beaten by the file, the file by the
 * environment, the environment by a flag. All mistakes are found in one go and told together.
 */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { BrokerError } from '#kit';
import {
  isListenerName,
  LISTENERS_SECTION,
  type ListenerSetting,
  listenerKeys,
  readListenerOption,
  readListenerVariable,
} from './listener-tables.ts';
import { nearestName } from './nearest-name.ts';
import { ENVIRONMENT_PREFIX, type Option, type OptionSchema } from './option-schema.ts';
import { OptionProblem, readOption } from './option-value.ts';
import { type Setting, Settings } from './settings.ts';

export interface OptionSources {
  /** Path of a TOML file. */
  readonly file?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** By option name, `mqtt.listen`; from the command line or from a program. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** Read by the command line tools themselves. */
export const CONFIG_VARIABLE = 'ROBUSTMQ_CONFIG';
const OTHER_VARIABLES = /^ROBUSTMQ_(CONFIG|CTL_.*)$/;
/** What Kubernetes puts into every container beside a service named `robustmq`. */
const KUBERNETES_VARIABLES =
  /^ROBUSTMQ_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT(?:_\d+_(?:TCP|UDP)(?:_.+)?)?)$/;

/** @throws BrokerError `bad-configuration` that lists every mistake, one per line. */
export function loadSettings(schema: OptionSchema, sources: OptionSources): Settings {
  const loader = new Loader(schema);
  if (sources.file !== undefined) loader.readFile(sources.file);
  loader.readEnvironment(sources.environment ?? {});
  loader.readFlags(sources.flags ?? {});
  return loader.finish();
}

class Loader {
  readonly #schema: OptionSchema;
  readonly #given = new Map<string, Setting>();
  readonly #listeners = new Map<string, Map<string, ListenerSetting>>();
  readonly #problems: string[] = [];

  constructor(schema: OptionSchema) {
    this.#schema = schema;
  }

  readFile(path: string): void {
    const content = this.#parseFile(path);
    const sections = this.#schema.sections.map((section) => section.name);
    for (const [section, values] of Object.entries(content ?? {})) {
      if (section === LISTENERS_SECTION) {
        this.#readListeners(path, values);
      } else if (!sections.includes(section)) {
        this.#unknown(`${path}: section [${section}]`, section, sections, (name) => `[${name}]`);
      } else if (typeof values !== 'object' || values === null || Array.isArray(values)) {
        this.#problems.push(`${path}: ${section} is a section; write [${section}] above its keys.`);
      } else this.#readSection(path, section, values);
    }
  }

  readEnvironment(environment: Readonly<Record<string, string | undefined>>): void {
    const byVariable = new Map<string, Option>();
    for (const option of this.#schema.options.values()) byVariable.set(option.environment, option);
    for (const [variable, text] of Object.entries(environment)) {
      if (!variable.startsWith(ENVIRONMENT_PREFIX) || text === undefined) continue;
      const option = byVariable.get(variable);
      const listener =
        option === undefined ? readListenerVariable(this.#schema.listenerRows, variable) : null;
      if (listener !== null) {
        this.#setListener(listener.name, listener.key, text, `environment ${variable}`);
      } else if (option !== undefined) this.#set(option, text, `environment ${variable}`);
      else if (!OTHER_VARIABLES.test(variable) && !KUBERNETES_VARIABLES.test(variable)) {
        this.#unknown(`environment variable ${variable}`, variable, byVariable.keys());
      }
    }
  }

  readFlags(flags: Readonly<Record<string, unknown>>): void {
    for (const [name, input] of Object.entries(flags)) {
      const option = this.#schema.options.get(name);
      const [section, listener, key] = name.split('.');
      if (section === LISTENERS_SECTION && listener !== undefined && key !== undefined) {
        this.#setListener(listener, key, input, `setting ${name}`);
      } else if (option === undefined) {
        this.#unknown(`option ${name}`, name, this.#schema.options.keys());
      } else this.#set(option, input, `flag ${option.flag}`);
    }
  }

  finish(): Settings {
    if (this.#problems.length > 0) {
      throw new BrokerError('bad-configuration', this.#problems.join('\n'));
    }
    return new Settings(this.#schema, this.#given, this.#listeners);
  }

  #parseFile(path: string): Record<string, unknown> | null {
    try {
      return parse(readFileSync(path, 'utf8'));
    } catch (error) {
      if (error instanceof TomlError) {
        const reason = error.message.split('\n', 1)[0]!.replace('Invalid TOML document: ', '');
        this.#problems.push(`${path}:${error.line}:${error.column}: ${reason}.`);
      } else {
        const reason = error instanceof Error ? error.message : String(error);
        this.#problems.push(`The configuration file cannot be read: ${reason}.`);
      }
      return null;
    }
  }

  #readSection(path: string, section: string, values: object): void {
    const prefix = `${section}.`;
    for (const [key, input] of Object.entries(values)) {
      const option = this.#schema.options.get(prefix + key);
      if (option !== undefined) {
        this.#set(option, input, `file ${path}`);
        continue;
      }
      const known = [...this.#schema.options.keys()].filter((name) => name.startsWith(prefix));
      this.#unknown(`${path}: key ${prefix}${key}`, prefix + key, known);
    }
  }

  #readListeners(path: string, tables: unknown): void {
    for (const [name, table] of Object.entries(tables ?? {})) {
      if (typeof table !== 'object' || table === null || Array.isArray(table)) {
        this.#problems.push(`${path}: write [listeners.NAME] above the keys of a listener.`);
        return;
      }
      for (const [key, input] of Object.entries(table)) {
        this.#setListener(name, key, input, `file ${path}`);
      }
    }
  }

  #setListener(name: string, key: string, input: unknown, from: string): void {
    if (!isListenerName(name)) {
      const rule = 'letters, digits and dashes, and not admin';
      this.#problems.push(`listeners.${name} (${from}): a name is made of ${rule}.`);
      return;
    }
    try {
      const read = readListenerOption(this.#schema.listenerRows, key, input, from);
      if (read === null) {
        const known = listenerKeys(this.#schema.listenerRows);
        this.#unknown(`${from}: key listeners.${name}.${key}`, key, known);
        return;
      }
      const table = this.#listeners.get(name) ?? new Map<string, ListenerSetting>();
      table.set(read.key, read.setting);
      this.#listeners.set(name, table);
    } catch (error) {
      if (!(error instanceof OptionProblem)) throw error;
      this.#problems.push(`listeners.${name}.${key} (${from}) ${error.message}.`);
    }
  }

  #set(option: Option, input: unknown, from: string): void {
    try {
      this.#given.set(option.name, { option, value: readOption(option.row, input), from });
    } catch (error) {
      if (!(error instanceof OptionProblem)) throw error;
      this.#problems.push(`${option.name} (${from}) ${error.message}.`);
    }
  }

  #unknown(
    what: string,
    name: string,
    known: Iterable<string>,
    show = (nearest: string): string => nearest,
  ): void {
    const nearest = nearestName(name, known);
    const hint = nearest === null ? '' : ` Did you mean ${show(nearest)}?`;
    this.#problems.push(`Unknown ${what}.${hint}`.replace(/^Unknown (.+?): /, '$1: unknown '));
  }
}
