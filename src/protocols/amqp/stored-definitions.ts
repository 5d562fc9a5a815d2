/**
 * Durable exchanges, queues and bindings as the broker's definitions keep them. Arguments are
 * stored as the bytes of their field table, so that types survive a restart.
 */
import type { Definitions, Json } from '#broker';
import type { QueueFacts } from './amqp-queue.ts';
import type { ExchangeFacts } from './exchange.ts';
import { EMPTY_TABLE, readTable, type Table, writeTable } from './field-table.ts';
import { written } from './output.ts';
import { WireReader } from './wire-reader.ts';

const EXCHANGES = 'amqp-exchange';
const QUEUES = 'amqp-queue';
const BINDINGS = 'amqp-binding';

export interface BindingFacts {
  readonly source: string;
  readonly destination: string;
  readonly kind: 'queue' | 'exchange';
  readonly key: string;
  readonly arguments: Table;
}

function packTable(table: Table): string {
  if (table.length === 0) return '';
  return written((output) => writeTable(output, table)).toString('base64');
}

function unpackTable(text: string): Table {
  if (text === '') return EMPTY_TABLE;
  const bytes = Buffer.from(text, 'base64');
  return readTable(new WireReader().over(bytes, 0, bytes.length), 'arguments');
}

type Stored<Facts> = Omit<Facts, 'arguments'> & { readonly arguments: string };

export class StoredDefinitions {
  readonly #definitions: Definitions;

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
  }

  durable(): Promise<void> {
    return this.#definitions.durable();
  }

  exchanges(): ExchangeFacts[] {
    return this.#list<ExchangeFacts>(EXCHANGES);
  }

  putExchange(facts: ExchangeFacts): void {
    this.#put(EXCHANGES, facts.name, facts);
  }

  removeExchange(name: string): void {
    this.#definitions.remove(EXCHANGES, name);
  }

  queues(): QueueFacts[] {
    return this.#list<QueueFacts>(QUEUES);
  }

  putQueue(facts: QueueFacts): void {
    this.#put(QUEUES, facts.name, facts);
  }

  removeQueue(name: string): void {
    this.#definitions.remove(QUEUES, name);
  }

  bindings(): BindingFacts[] {
    return this.#list<BindingFacts>(BINDINGS);
  }

  putBinding(facts: BindingFacts): void {
    this.#put(BINDINGS, bindingName(facts), facts);
  }

  removeBinding(facts: BindingFacts): void {
    this.#definitions.remove(BINDINGS, bindingName(facts));
  }

  #list<Facts>(kind: string): Facts[] {
    return [...this.#definitions.list(kind)].map(([, value]) => {
      const stored = value as unknown as Stored<Facts>;
      return { ...stored, arguments: unpackTable(stored.arguments) } as Facts;
    });
  }

  #put(kind: string, name: string, facts: { readonly arguments: Table }): void {
    const stored = { ...facts, arguments: packTable(facts.arguments) };
    this.#definitions.put(kind, name, stored as unknown as Json);
  }
}

/** Two bindings are the same when all of this is the same. */
export function bindingName(facts: BindingFacts): string {
  const { source, kind, destination, key } = facts;
  return JSON.stringify([source, kind, destination, key, packTable(facts.arguments)]);
}
