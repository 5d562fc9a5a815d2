/** Messages of one partition that are packed into one batch until somebody wants it sealed. */
import type { BrokerError } from '#kit';
import type { Message } from '../records/message.ts';
import { BatchBuilder } from '../records/record-batch.ts';
import type { Follower, PublishSink, Touched } from './partition.ts';

export class OpenBatch {
  readonly builder: BatchBuilder;
  readonly first: Message;
  /** Publishers that wait, and what they call their messages. */
  readonly sinks: PublishSink[] = [];
  readonly tokens: number[] = [];
  /** For followers alone: a message that nobody will read is not kept until the commit. */
  readonly messages: Message[] = [];
  /** Queues that hold references into it. */
  touched: Touched | null = null;
  lastTouched: Follower | null = null;
  /** Somebody waits for its commit. */
  awaited = false;

  constructor(first: Message, capacity: number) {
    this.first = first;
    this.builder = new BatchBuilder(capacity);
  }
}

export function tellSinks({ sinks, tokens }: OpenBatch, error: BrokerError | null): void {
  for (let index = 0; index < sinks.length; index++) {
    sinks[index]!.published(tokens[index]!, error);
  }
}
