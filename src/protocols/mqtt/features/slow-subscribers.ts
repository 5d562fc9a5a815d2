/**
 * Subscriptions whose messages take long (M184): client, topic, latency, newest first where they
 * are equal. `internal` is from the broker's taking a message to its sending, `response` from there
 * to the acknowledgement, `whole` both. Nothing is measured while the threshold is 0.
 */
import type { Message } from '#broker';
import type { Action } from '#contract';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import type { Feature } from './feature.ts';
import { integerField, oneOf, onlyFields } from './fields.ts';
import { MessageWatch } from './hooks.ts';
import { InFlightNotes } from './in-flight-notes.ts';

const KINDS = ['whole', 'internal', 'response'] as const;
const DAY_MS = 86_400_000;

interface Slow {
  readonly client: string;
  readonly topic: string;
  latencyMs: number;
  atMs: number;
}

export class SlowSubscribers extends MessageWatch implements Feature {
  readonly #room: Room;
  readonly #notes = new InFlightNotes();
  /** Slowest first. */
  #list: Slow[] = [];
  #thresholdMs: number;
  #kind: (typeof KINDS)[number];
  readonly actions: readonly Action[];

  constructor(room: Room) {
    super();
    this.#room = room;
    this.#thresholdMs = room.options.slowThreshold;
    this.#kind = room.options.slowKind as (typeof KINDS)[number];
    room.hooks.watchSessions(this.#notes);
    room.hooks.watchMessages(this, this.#thresholdMs > 0);
    this.actions = this.#actions();
  }

  override sent(session: Session, message: Message, topic: string, qos: number, id: number): void {
    const nowMs = this.#room.nowMs();
    if (this.#kind === 'internal' || (this.#kind === 'whole' && qos === 0)) {
      this.#took(session, topic, nowMs - message.appendTimeMs, nowMs);
    } else if (qos > 0) this.#notes.set(session, id, { message, topic, sentMs: nowMs });
  }

  override acked(session: Session, packetId: number): void {
    const note = this.#notes.take(session, packetId);
    if (note === undefined) return;
    const nowMs = this.#room.nowMs();
    const fromMs = this.#kind === 'whole' ? note.message.appendTimeMs : note.sentMs;
    this.#took(session, note.topic, nowMs - fromMs, nowMs);
  }

  #took({ clientId: client }: Session, topic: string, latencyMs: number, atMs: number): void {
    if (latencyMs < this.#thresholdMs) return;
    const known = this.#list.find((slow) => slow.client === client && slow.topic === topic);
    if (known === undefined) this.#list.push({ client, topic, latencyMs, atMs });
    else {
      known.latencyMs = latencyMs;
      known.atMs = atMs;
    }
    this.#expire(atMs);
    this.#list.sort((a, b) => b.latencyMs - a.latencyMs);
    this.#list.length = Math.min(this.#list.length, this.#room.options.slowMax);
  }

  #expire(nowMs: number): void {
    const oldestMs = nowMs - this.#room.options.slowExpiry;
    this.#list = this.#list.filter(({ atMs }) => atMs >= oldestMs);
  }

  #actions(): readonly Action[] {
    return [
      {
        method: 'GET',
        path: 'slow-subscriptions',
        summary: 'Lists the subscriptions of MQTT clients whose messages took longest.',
        run: () => {
          this.#expire(this.#room.nowMs());
          const rows = this.#list.map(({ atMs, ...row }) => ({
            ...row,
            at: new Date(atMs).toISOString(),
          }));
          return { rows };
        },
      },
      {
        method: 'DELETE',
        path: 'slow-subscriptions',
        summary: 'Empties the list of slow MQTT subscriptions.',
        run: () => {
          this.#list = [];
          return null;
        },
      },
      {
        method: 'PUT',
        path: 'slow-subscriptions',
        summary: 'Sets, until the next start, which MQTT subscriptions are slow; 0 ms: none is.',
        run: ({ body }) => {
          onlyFields(body, ['thresholdMs', 'kind']);
          this.#thresholdMs = integerField(body, 'thresholdMs', [0, DAY_MS], this.#thresholdMs);
          this.#kind = oneOf(body, 'kind', KINDS, this.#kind);
          this.#list = [];
          this.#notes.clear();
          this.#room.hooks.watchMessages(this, this.#thresholdMs > 0);
          return { value: { thresholdMs: this.#thresholdMs, kind: this.#kind } };
        },
      },
    ];
  }
}
