/**
 * Exchanges that take a message once [A75]: declared with x-message-deduplication, they drop what
 * clients publish again under an id that they remember. Ids are durable and commit together with
 * their message (the broker's windows, X67); a repeat is confirmed like the first.
 */
import { createHash } from 'node:crypto';
import { type DedupeWindow, once, type PublishSink } from '#broker';
import type { Content } from './content.ts';
import { named, refusal } from './errors.ts';
import { findEntry, integerOf, type Table } from './field-table.ts';
import type { Outcome } from './publisher.ts';

const ON = 'x-message-deduplication';
const SIZE = 'x-cache-size';
const TTL = 'x-cache-ttl';
const HEADER = 'x-deduplication-header';
const SIZE_MAX = 10_000_000;
/** An id is remembered for so long when nobody says how long. */
const TTL_MS = 86_400_000;
const TTL_MS_MAX = 0xffffffff;
/** Longer ids are remembered by their hash. */
const ID_CHARACTERS_MAX = 128;
const NOTHING = Buffer.alloc(0);

export interface RepeatLimits {
  readonly idsMax: number;
  readonly ttlMs: number;
  /** Which header has the id. */
  readonly header: string;
}

/**
 * What the arguments of an exchange say; null when it takes everything.
 * @throws AmqpError 406
 */
export function repeatLimits(exchange: string, table: Table): RepeatLimits | null {
  const on = findEntry(table, ON);
  if (on === undefined || on.value === false) return null;
  const refuse = (name: string, problem: string): never => {
    throw refusal.invalidArgument(named.exchange(exchange), name, problem);
  };
  if (on.type !== 't') refuse(ON, 'a bool is wanted');
  const whole = (name: string, max: number): number | undefined => {
    const entry = findEntry(table, name);
    if (entry === undefined) return undefined;
    const value = integerOf(entry);
    if (value === undefined || value < 1 || value > max) refuse(name, `1 to ${max} is wanted`);
    return value;
  };
  const header = findEntry(table, HEADER);
  if (header !== undefined && header.type !== 'S') refuse(HEADER, 'a text is wanted');
  return {
    idsMax: whole(SIZE, SIZE_MAX) ?? refuse(SIZE, 'it must be given'),
    ttlMs: whole(TTL, TTL_MS_MAX) ?? TTL_MS,
    header: header === undefined ? HEADER : String(header.value),
  };
}

export class Repeats {
  readonly #window: DedupeWindow;
  readonly #header: string;

  constructor(window: DedupeWindow, header: string) {
    this.#window = window;
    this.#header = header;
  }

  /** What the message calls itself; null: it may come as often as it likes. */
  idOf({ table }: Content): string | null {
    const entry = findEntry(table, this.#header);
    if (entry === undefined || entry.type === 'V') return null;
    const { type, value } = entry;
    const bytes = Buffer.isBuffer(value);
    const text = bytes ? value.toString(type === 'S' ? 'utf8' : 'hex') : `${type}${String(value)}`;
    if (text.length <= ID_CHARACTERS_MAX) return text;
    return `#${createHash('sha256').update(text).digest('hex')}`;
  }

  /** Publishes unless the id is known. What nobody takes may come again. */
  publish(
    id: string,
    content: Content,
    sink: PublishSink | null,
    token: number,
    publish: (sink: PublishSink) => Outcome,
  ): Outcome {
    let outcome: Outcome = 'routed';
    const take = (settling: PublishSink): Buffer | null => {
      outcome = publish(settling);
      return outcome === 'routed' ? NOTHING : null;
    };
    const own = findEntry(content.table, TTL);
    const ttlMs = own === undefined ? undefined : integerOf(own);
    const timeMs = ttlMs === undefined || ttlMs < 1 ? undefined : Math.min(ttlMs, TTL_MS_MAX);
    once(this.#window, id, sink, token, take, timeMs);
    return outcome;
  }
}
