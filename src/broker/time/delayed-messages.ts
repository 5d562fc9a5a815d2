/**
 * Messages that are published later. At its time a message is an ordinary append: the rights of who
 * sent it are asked again, as they are then (X31), its expiry begins then, and its entry ends in
 * the commit that stores it.
 */
import { BrokerError } from '#kit';
import type { HomeRule } from '../addresses/routes.ts';
import type { Broker } from '../broker.ts';
import { NO_FACTS, type PeerFacts } from '../principals/principal.ts';
import { messageBytes, messageOfBytes } from '../records/kept-message.ts';
import type { Message } from '../records/message.ts';
import type { TimeEntry } from './time-engine.ts';

export interface DelayedMessage {
  readonly id: string;
  readonly dueMs: number;
  readonly message: Message;
}

/** Pause before a message that the disk did not take is tried again. */
const AGAIN_MS = 1000;
const LIST_ROWS = 100;

export class DelayedMessages {
  readonly #broker: Broker;
  readonly #kind: string;
  readonly #nowMs: () => number;
  readonly #factsOf: (message: Message) => PeerFacts;

  /**
   * From here on the messages of this kind are published at their time; those that are overdue, in
   * the next turn of the event loop: who wants them must be known by then.
   * @param kind a kind of the time engine, for these messages alone
   * @param factsOf what is known of the sender of a message, for rules that ask for it
   */
  constructor(
    broker: Broker,
    kind: string,
    nowMs: () => number,
    factsOf: (message: Message) => PeerFacts = () => NO_FACTS,
  ) {
    this.#broker = broker;
    this.#kind = kind;
    this.#nowMs = nowMs;
    this.#factsOf = factsOf;
    broker.time.register(kind, (entry) => this.#publish(entry));
  }

  get count(): number {
    return this.#broker.time.count(this.#kind);
  }

  /**
   * Keeps a message until `dueMs`; durable with the next commit. Those of one moment are published
   * in the order of the calls. `expiresAtMs` is as if it were published at `dueMs`.
   * @returns its id
   */
  add(message: Message, rule: HomeRule, dueMs: number): string {
    return this.#broker.time.add(this.#kind, dueMs, this.#bytesOf(message, rule));
  }

  /** The same under an id of the caller's, which may replace an earlier message. */
  set(id: string, message: Message, rule: HomeRule, dueMs: number): void {
    this.#broker.time.set(this.#kind, id, dueMs, this.#bytesOf(message, rule));
  }

  /** @returns false when there is none, or it was published */
  cancel(id: string): boolean {
    return this.#broker.time.cancel(this.#kind, id);
  }

  /** Publishes one now instead of at its time. @returns false when there is none */
  hasten(id: string): boolean {
    const { time } = this.#broker;
    const entry = time.get(this.#kind, id);
    if (entry === undefined) return false;
    time.cancel(this.#kind, id);
    const nowMs = Math.min(entry.dueMs, this.#nowMs());
    time.add(this.#kind, nowMs, entry.value);
    return true;
  }

  /** In the order of their times, read as the walk goes on. */
  *list(): Generator<DelayedMessage> {
    for (let page = this.#broker.time.page(this.#kind, LIST_ROWS); page.length > 0; ) {
      for (const entry of page) {
        const { message } = decode(entry.value);
        yield { id: entry.id, dueMs: entry.dueMs, message };
      }
      page = this.#broker.time.page(this.#kind, LIST_ROWS, page[page.length - 1]!);
    }
  }

  #bytesOf(message: Message, rule: HomeRule): Buffer {
    const head = Buffer.from(JSON.stringify([rule, message.principal.name]));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(head.length);
    return Buffer.concat([size, head, messageBytes(message)]);
  }

  #publish({ dueMs, value }: TimeEntry): void {
    const { broker, rule, message } = { broker: this.#broker, ...decode(value) };
    const principal = broker.principals.today(message.principal, this.#factsOf(message));
    if (principal === null || !broker.authorize(principal, 'publish', message.address)) {
      throw new BrokerError('not-authorized', `to publish to '${message.address.text}'.`);
    }
    message.principal = principal;
    if (message.expiresAtMs !== 0) message.expiresAtMs += Math.max(0, this.#nowMs() - dueMs);
    const sink = {
      published: (_: number, error: BrokerError | null): void => {
        // The disk is full and took the end of the entry, but not the message: the next try.
        if (error?.code !== 'storage-full') return;
        broker.time.add(this.#kind, this.#nowMs() + AGAIN_MS, value);
      },
    };
    broker.publish(message, broker.target(message.address, rule), sink, 0);
    if (message.retain) broker.lastValues.offer(message);
  }
}

function decode(bytes: Buffer): { readonly rule: HomeRule; readonly message: Message } {
  const size = bytes.readUInt32BE(0);
  const head = bytes.toString('utf8', 4, 4 + size);
  const [rule, name] = JSON.parse(head) as [HomeRule, string];
  const { message, principalId: id } = messageOfBytes(bytes.subarray(4 + size));
  message.principal = { id, name, anonymous: false, superuser: false };
  return { rule, message };
}
