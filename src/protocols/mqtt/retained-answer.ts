/**
 * The answer to a retained message: given when the message is on disk and the last value as well
 * (M116). Mostly that is one commit.
 */
import type { LastValues, PublishSink } from '#broker';
import type { BrokerError } from '#kit';

export class RetainedAnswer implements PublishSink {
  readonly #sink: PublishSink;
  readonly #lastValues: LastValues;
  /** Of the message, once that is on disk. */
  #token = -1;
  /** Of the change of the last value, once it is made. */
  #offset: number | null = null;

  /** @param sink told when both are on disk, or one failed */
  constructor(sink: PublishSink, lastValues: LastValues) {
    this.#sink = sink;
    this.#lastValues = lastValues;
  }

  /** May be told before the last value is set, when there is nothing to store of the message. */
  published(token: number, error: BrokerError | null): void {
    if (error !== null) {
      this.#sink.published(token, error);
      return;
    }
    this.#token = token;
    this.#tell();
  }

  /** @param offset of the change; -1 when nothing was changed */
  kept(offset: number): void {
    this.#offset = offset;
    this.#tell();
  }

  #tell(): void {
    const token = this.#token;
    if (token < 0 || this.#offset === null) return;
    this.#lastValues.settled(this.#offset, (error) => this.#sink.published(token, error));
  }
}
