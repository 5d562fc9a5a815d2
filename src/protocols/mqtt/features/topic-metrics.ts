/** Counts for topics that an administrator chose (M185); nothing is counted without any. */
import { type Json, type Message, slashSpelling } from '#broker';
import type { Action } from '#contract';
import { BrokerError } from '#kit';
import type { Link } from '../connection.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import { filterMatches } from '../topics.ts';
import type { Feature } from './feature.ts';
import { onlyFields, textField } from './fields.ts';
import { type DropReason, MessageWatch } from './hooks.ts';
import { RuleList } from './rule-list.ts';

const KIND = 'mqtt.topic-metrics';

class TopicCounts {
  readonly sinceMs: number;
  readonly in: [number, number, number] = [0, 0, 0];
  readonly out: [number, number, number] = [0, 0, 0];
  dropped = 0;

  constructor(sinceMs: number) {
    this.sinceMs = sinceMs;
  }

  row(topic: string, nowMs: number): Record<string, Json> {
    const seconds = Math.max(1, (nowMs - this.sinceMs) / 1000);
    const sum = ([a, b, c]: readonly number[]): number => a! + b! + c!;
    const rate = (count: number): number => Math.round((count / seconds) * 100) / 100;
    return {
      topic,
      in: sum(this.in),
      inPerSecond: rate(sum(this.in)),
      inQos0: this.in[0],
      inQos1: this.in[1],
      inQos2: this.in[2],
      out: sum(this.out),
      outPerSecond: rate(sum(this.out)),
      outQos0: this.out[0],
      outQos1: this.out[1],
      outQos2: this.out[2],
      dropped: this.dropped,
      since: new Date(this.sinceMs).toISOString(),
    };
  }
}

export class TopicMetrics extends MessageWatch implements Feature {
  readonly #room: Room;
  /** By topic; a filter with wildcards counts all that it matches. */
  readonly #exact = new Map<string, TopicCounts>();
  readonly #filters = new Map<string, TopicCounts>();
  readonly #rules: RuleList<string>;
  readonly actions: readonly Action[];

  constructor(room: Room) {
    super();
    this.#room = room;
    const parse = (value: Json): string => String(value);
    this.#rules = new RuleList(room.broker, KIND, [], parse, () => this.#changed());
    this.#changed();
    this.actions = this.#actions();
  }

  override received(_link: Link, message: Message): void {
    this.#count(slashSpelling.show(message.address), (counts) => counts.in[message.qos]++);
  }

  override sent(_session: Session, message: Message, topic: string, qos: number): void {
    const name = topic === '' ? slashSpelling.show(message.address) : topic;
    this.#count(name, (counts) => counts.out[qos as 0 | 1 | 2]++);
  }

  override dropped(_session: Session, _message: Message, topic: string, _why: DropReason): void {
    this.#count(topic, (counts) => counts.dropped++);
  }

  close(): void {
    this.#rules.close();
  }

  #count(topic: string, add: (counts: TopicCounts) => void): void {
    const exact = this.#exact.get(topic);
    if (exact !== undefined) add(exact);
    for (const [filter, counts] of this.#filters) if (filterMatches(filter, topic)) add(counts);
  }

  #changed(): void {
    const wanted = new Set((this.#rules?.all ?? []).map(({ value }) => value));
    for (const map of [this.#exact, this.#filters]) {
      for (const topic of [...map.keys()]) if (!wanted.has(topic)) map.delete(topic);
    }
    for (const topic of wanted) {
      const map = /[+#]/.test(topic) ? this.#filters : this.#exact;
      if (!map.has(topic)) map.set(topic, new TopicCounts(this.#room.nowMs()));
    }
    this.#room.hooks.watchMessages(this, wanted.size > 0);
  }

  *#rows(): Generator<Json> {
    const nowMs = this.#room.nowMs();
    for (const map of [this.#exact, this.#filters]) {
      for (const [topic, counts] of map) yield counts.row(topic, nowMs);
    }
  }

  #actions(): readonly Action[] {
    return [
      {
        method: 'GET',
        path: 'topic-metrics',
        summary: 'Lists the MQTT topics that are counted, with their counts and rates.',
        run: () => ({ rows: this.#rows() }),
      },
      {
        method: 'POST',
        path: 'topic-metrics',
        summary: 'Counts the messages of an MQTT topic or filter from now on.',
        run: async ({ body }) => {
          onlyFields(body, ['topic']);
          const topic = textField(body, 'topic');
          const { topicMetricsMax } = this.#room.options;
          if (this.#rules.all.length >= topicMetricsMax) {
            throw new BrokerError('limit-reached', `${topicMetricsMax} topics.`);
          }
          await this.#rules.put(topic, topic);
          return { value: { topic } };
        },
      },
      {
        method: 'DELETE',
        path: 'topic-metrics/:topic',
        summary: 'Counts an MQTT topic no more.',
        run: async ({ params }) => {
          await this.#rules.remove(params['topic']!);
          return null;
        },
      },
    ];
  }
}
