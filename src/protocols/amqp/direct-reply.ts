/**
 * Direct reply-to: a channel consumes the pseudo queue `amq.rabbitmq.reply-to`, its requests carry
 * a name of its own instead, and what is published to that name through any protocol goes straight
 * to the channel. No queue is behind it, nothing is stored.
 */
import { flatAddress, type Message, type Subscription, slashPattern } from '#broker';
import { assert } from '#kit';
import type { Channel } from './channel.ts';
import { DIRECT_REPLY_TO } from './content.ts';
import { utf8Bytes } from './output.ts';

const TOKEN_BYTES = 16;

export class DirectReply {
  readonly name: string;
  readonly tag: string;
  readonly #channel: Channel;
  readonly #tagBytes: Buffer;
  readonly #subscription: Subscription;

  constructor(channel: Channel, tag: string, randomBytes: (count: number) => Buffer) {
    this.#channel = channel;
    this.tag = tag;
    const bytes = utf8Bytes(tag);
    this.#tagBytes = Buffer.concat([Buffer.of(bytes.length), bytes]);
    // A name that cannot be guessed: whoever knows it may answer.
    this.name = `${DIRECT_REPLY_TO}.${randomBytes(TOKEN_BYTES).toString('base64url')}`;
    const pattern = slashPattern(flatAddress(this.name).text);
    assert(pattern !== null, 'a reply name is a pattern');
    this.#subscription = channel.host.broker.subscribe({ pattern, subscriber: this });
  }

  /** A client that does not take its replies loses them: they are delivered at most once. */
  receive(message: Message): void {
    if (!this.#channel.writable) return;
    this.#channel.writeMessage(this.#tagBytes, message, this.name);
  }

  end(): void {
    this.#subscription.end();
  }
}
