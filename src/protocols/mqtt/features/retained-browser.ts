/** Retained messages for administrators: list, read, delete by filter (M119). */
import { type Address, type Json, type Message, slashPattern, slashSpelling } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError } from '#kit';
import type { Room } from '../room.ts';
import type { Feature } from './feature.ts';

/** Values that are looked at or removed before others get their turn. */
const PER_TURN = 500;
/** What a look costs that found none. */
const LOOK = 16;
const PAGE_ROWS = 1000;
const PAGE_ROWS_MAX = 10_000;
/** Before the topic that a page begins at. */
const PLACE = '=';

export class RetainedBrowser implements Feature {
  readonly #room: Room;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    this.#room = room;
    this.actions = [
      {
        method: 'GET',
        path: 'retained',
        summary: 'Lists retained messages, of the topics that ?filter= matches; ?limit=, ?after=.',
        run: async (call) => ({ value: await this.#page(call) }),
      },
      {
        method: 'GET',
        path: 'retained/:topic',
        summary: 'Shows the retained message of a topic; the payload as base64.',
        run: ({ params }) => {
          const message = room.broker.lastValues.get(slashSpelling.parse(params['topic']!));
          if (message === undefined) {
            throw new BrokerError('precondition-failed', 'nothing is retained there.');
          }
          const payload = (message.value ?? Buffer.alloc(0)).toString('base64');
          return { value: { ...rowOf(message), payload } };
        },
      },
      {
        method: 'DELETE',
        path: 'retained',
        summary: 'Removes the retained messages of the topics that ?filter= matches.',
        run: async (call) => ({ value: { removed: await this.#remove(call) } }),
      },
    ];
  }

  /**
   * A page of them in the order of their topics: `next` names the topic to go on at, so that a page
   * costs what is on it, wherever it is among a million.
   */
  async #page(call: ActionCall): Promise<Json> {
    const limit = limitOf(call);
    const after = call.query.get('after') ?? '';
    const from = after.startsWith(PLACE) ? slashSpelling.parse(after.slice(PLACE.length)) : null;
    const source = this.#room.broker.lastValues.match(patternOf(call, '#'), from);
    const items: Json[] = [];
    for (let left = PER_TURN; ; left--) {
      const { done, value } = source.next();
      if (done === true) return { items, next: null };
      if (value === null) left -= LOOK;
      else if (items.length < limit) items.push(rowOf(value));
      else return { items, next: PLACE + slashSpelling.show(value.address) };
      if (left > 0) continue;
      left = PER_TURN;
      await new Promise<void>((resolve) => this.#room.timers.soon(resolve));
    }
  }

  async #remove(call: ActionCall): Promise<number> {
    const { lastValues } = this.#room.broker;
    const source = lastValues.match(patternOf(call, null));
    for (let removed = 0; ; ) {
      const found: Address[] = [];
      let looks = 0;
      let ended = false;
      while (!ended && found.length + LOOK * looks < PER_TURN) {
        const { done, value } = source.next();
        ended = done === true;
        if (value === null) looks++;
        else if (value !== undefined) found.push(value.address);
      }
      let last = -1;
      for (const address of found) last = lastValues.remove(address);
      removed += found.length;
      // The commit is the pause: others have their turn, and the disk keeps up.
      await this.#settled(last);
      if (ended) return removed;
    }
  }

  /** Resolves in a later turn, when the change with this offset is on disk. */
  #settled(offset: number): Promise<void> {
    const { broker, timers } = this.#room;
    return new Promise((resolve, reject) => {
      broker.lastValues.settled(offset, (error) => {
        if (error === null) timers.soon(resolve);
        else reject(error);
      });
    });
  }
}

function limitOf({ query }: ActionCall): number {
  const limit = Number(query.get('limit') ?? PAGE_ROWS);
  if (Number.isInteger(limit) && limit >= 1 && limit <= PAGE_ROWS_MAX) return limit;
  throw new BrokerError('invalid-argument', `limit: a whole number from 1 to ${PAGE_ROWS_MAX}.`);
}

function patternOf(
  { query }: ActionCall,
  missing: string | null,
): NonNullable<ReturnType<typeof slashPattern>> {
  const filter = query.get('filter') ?? missing;
  const pattern = filter === null ? null : slashPattern(filter);
  if (pattern === null) throw new BrokerError('invalid-argument', '?filter= is no topic filter.');
  return pattern;
}

function rowOf(message: Message): Record<string, Json> {
  const { address, qos, value, producer, principal, expiresAtMs, appendTimeMs } = message;
  return {
    topic: slashSpelling.show(address),
    qos,
    bytes: value?.length ?? 0,
    client: producer,
    user: principal.name,
    at: new Date(appendTimeMs).toISOString(),
    expires: expiresAtMs === 0 ? null : new Date(expiresAtMs).toISOString(),
  };
}
