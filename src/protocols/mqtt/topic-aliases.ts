/**
 * Names a connection has used: the last topic and the aliases in (3.3.2.3.4), and aliases out.
 */
import type { Target } from '#broker';

/** Topics a client published to. Bytes are compared before anything is decoded. */
export class Routes {
  #bytes: Buffer | null = null;
  #target: Target | null = null;
  #aliases: (Target | undefined)[] | null = null;

  /** The target of the same topic bytes as last time, or null. */
  last(bytes: Buffer, start: number, end: number): Target | null {
    const known = this.#bytes;
    if (known === null || known.length !== end - start) return null;
    // Names are short: the loop beats a native call. The end differs more often than the beginning.
    for (let at = known.length - 1; at >= 0; at--) {
      if (known[at] !== bytes[start + at]) return null;
    }
    return this.#target;
  }

  remember(topic: Buffer, target: Target): void {
    this.#bytes = Buffer.from(topic);
    this.#target = target;
  }

  /** Names lead to other places now; aliases keep theirs until the client sets them anew. */
  forget(): void {
    this.#bytes = null;
  }

  alias(alias: number): Target | undefined {
    return this.#aliases?.[alias];
  }

  setAlias(alias: number, target: Target): void {
    this.#aliases ??= [];
    this.#aliases[alias] = target;
  }
}

/** Topics of this length on are worth an alias: it takes three bytes itself. */
const TOPIC_LENGTH_MIN = 6;

/** Aliases that we gave, least recently used first. */
export class AliasesOut {
  readonly #maximum: number;
  readonly #byTopic = new Map<string, number>();

  /** @param maximum what the client allows [MQTT-3.1.2-26] */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** The alias of a topic that the client knows already; 0 for none. */
  known(topic: string): number {
    const alias = this.#byTopic.get(topic);
    if (alias === undefined) return 0;
    this.#byTopic.delete(topic);
    this.#byTopic.set(topic, alias);
    return alias;
  }

  /** The alias that a new topic would take; 0 when it is not worth one. */
  next(topic: string): number {
    if (topic.length < TOPIC_LENGTH_MIN) return 0;
    if (this.#byTopic.size < this.#maximum) return this.#byTopic.size + 1;
    const [oldest] = this.#byTopic;
    return oldest === undefined ? 0 : oldest[1];
  }

  set(topic: string, alias: number): void {
    if (this.#byTopic.size >= this.#maximum) {
      const [oldest] = this.#byTopic.keys();
      if (oldest !== undefined) this.#byTopic.delete(oldest);
    }
    this.#byTopic.set(topic, alias);
  }
}
