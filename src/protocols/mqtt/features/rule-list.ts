/**
 * Rules of one kind: those of the options, which stay, and those of administrators, which are
 * durable definitions. They hold in that order, and a change holds at once.
 */
import type { Broker, Json } from '#broker';
import { BrokerError } from '#kit';

/** Rules of one kind that administrators may add. */
const RULES_MAX = 1000;

export interface Rule<Value> {
  readonly name: string;
  readonly value: Value;
}

export class RuleList<Value> {
  readonly #broker: Broker;
  readonly #kind: string;
  readonly #fixed: readonly Rule<Value>[];
  readonly #parse: (value: Json) => Value;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
  all: readonly Rule<Value>[] = [];

  constructor(
    broker: Broker,
    kind: string,
    fixed: readonly Value[],
    parse: (value: Json) => Value,
    changed: () => void,
  ) {
    this.#broker = broker;
    this.#kind = kind;
    this.#fixed = fixed.map((value, index) => ({ name: `option-${index + 1}`, value }));
    this.#parse = parse;
    this.#changed = changed;
    this.#unwatch = broker.definitions.watch(kind, () => this.#load());
    this.#load();
  }

  /** Adds or replaces; durable when it resolves. @throws BrokerError */
  async put(name: string, value: Json): Promise<void> {
    const { definitions } = this.#broker;
    if (this.#fixed.some((rule) => rule.name === name)) {
      throw new BrokerError('precondition-failed', 'it stands in the options.');
    }
    this.#parse(value);
    if (definitions.get(this.#kind, name) === undefined && this.all.length >= RULES_MAX) {
      throw new BrokerError('limit-reached', `${RULES_MAX} rules.`);
    }
    definitions.put(this.#kind, name, value);
    await definitions.durable();
  }

  async remove(name: string): Promise<void> {
    const { definitions } = this.#broker;
    if (definitions.get(this.#kind, name) === undefined) {
      throw new BrokerError('precondition-failed', `there is no rule '${name}'.`);
    }
    definitions.remove(this.#kind, name);
    await definitions.durable();
  }

  close(): void {
    this.#unwatch();
  }

  #load(): void {
    const own: Rule<Value>[] = [];
    for (const [name, value] of this.#broker.definitions.list(this.#kind)) {
      own.push({ name, value: this.#parse(value) });
    }
    own.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.all = [...this.#fixed, ...own];
    this.#changed();
  }
}
