/**
 * Users and rules that are kept in files. They are read at the start and again when somebody asks;
 * a file that cannot be used changes nothing.
 */
import { readFile } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import type { Broker, ForeignPassword, NoMatch, Rule } from '#broker';
import { BrokerError, expectBrokerError, type Log, type Values } from '#kit';
import { readAclFile, readPasswordFile } from './mosquitto-files.ts';
import type { AUTH_OPTIONS } from './server-options.ts';

/** Marks users and rules in the catalogue and in lists. */
const SOURCE = {
  rules: 'rules-file',
  passwords: 'mosquitto-password-file',
  acl: 'mosquitto-acl-file',
};

export interface AuthFilesReport {
  readonly users: number;
  readonly rules: number;
}

export class AuthFiles {
  readonly #broker: Broker;
  readonly #options: Values<typeof AUTH_OPTIONS>;
  readonly #log: Log;

  constructor(broker: Broker, options: Values<typeof AUTH_OPTIONS>, log: Log) {
    this.#broker = broker;
    this.#options = options;
    this.#log = log;
  }

  /** @throws BrokerError `bad-configuration`; what was read before stays then */
  async load(): Promise<AuthFilesReport> {
    const { rulesFile, mosquittoPasswordFile, mosquittoAclFile } = this.#options;
    const { principals, definitions } = this.#broker;
    const passwords = await read(mosquittoPasswordFile, readPasswordFile);
    const rules = (await read(rulesFile, readRulesFile)) ?? [];
    const acl = await read(mosquittoAclFile, readAclFile);
    this.#setRules(
      new Map([
        [SOURCE.rules, rules],
        [SOURCE.acl, acl ?? []],
      ]),
    );
    // That is what the file means where it comes from: who is not named may nothing.
    const noMatch = this.#options.noMatch as NoMatch;
    const { failuresMax, failuresWindow: failuresWindowMs } = this.#options;
    principals.configure({
      noMatch: noMatch === 'auto' && acl !== null ? 'deny' : noMatch,
      ...{ failuresMax, failuresWindowMs },
    });
    this.#takeUsers(passwords ?? []);
    await definitions.durable();
    const report = {
      users: passwords?.length ?? 0,
      rules: rules.length + (acl?.length ?? 0),
    };
    if (report.users + report.rules > 0) this.#log.info('users and rules were read', { ...report });
    return report;
  }

  #setRules(files: ReadonlyMap<string, readonly Rule[]>): void {
    try {
      this.#broker.principals.setFileRules(files);
    } catch (error) {
      throw new BrokerError('bad-configuration', expectBrokerError(error).message);
    }
  }

  #takeUsers(passwords: readonly ForeignPassword[]): void {
    const { store } = this.#broker.principals;
    for (const name of store.takeOver(SOURCE.passwords, passwords)) {
      this.#log.warn('a user of the file was made in another way and stays as it is', { name });
    }
  }
}

async function read<Found>(
  file: string,
  reader: (file: string, text: string) => Found,
): Promise<Found | null> {
  if (file === '') return null;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokerError('bad-configuration', `${file} cannot be read: ${reason}`);
  }
  return reader(file, text);
}

const FIELDS = ['name', 'effect', 'principal', 'actions', 'kind', 'pattern', 'match', 'host'];

/** `[[rules]]` tables with the fields of the admin API. */
export function readRulesFile(file: string, text: string): Rule[] {
  const wrong = (number: number, what: string): BrokerError =>
    new BrokerError('bad-configuration', `rule ${number} of ${file} ${what}.`);
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new BrokerError('bad-configuration', `${file}: ${error.message}`);
  }
  const { rules = [], ...rest } = document as { rules?: unknown };
  const [stray] = Object.keys(rest);
  if (stray !== undefined || !Array.isArray(rules)) {
    throw new BrokerError('bad-configuration', `${file} has ${stray ?? 'no'} tables: [[rules]].`);
  }
  return rules.map((table: unknown, index) => {
    const number = index + 1;
    if (typeof table !== 'object' || table === null) throw wrong(number, 'is no table');
    const { name, actions, ...fields } = table as Record<string, unknown>;
    const unknown = Object.keys(fields).find((field) => !FIELDS.includes(field));
    if (unknown !== undefined) throw wrong(number, `has an unknown field '${unknown}'`);
    const texts = Object.entries(fields).find(([, value]) => typeof value !== 'string');
    if (texts !== undefined) throw wrong(number, `has a ${texts[0]} that is no text`);
    const list = typeof actions === 'string' ? [actions] : actions;
    if (!Array.isArray(list) || !list.every((one) => typeof one === 'string')) {
      throw wrong(number, 'has no actions');
    }
    for (const field of ['effect', 'principal', 'pattern']) {
      if (fields[field] === undefined) throw wrong(number, `has no ${field}`);
    }
    const id = typeof name === 'string' ? name : `${SOURCE.rules} ${number}`;
    return { ...fields, id, actions: list } as unknown as Rule;
  });
}
