/** Publishes persistent messages with confirms; what is not confirmed is sent again. */
import { Actor } from '../actor.ts';
import type { Sent } from '../ledger.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import { AmqpLink } from './amqp-link.ts';

const WINDOW = 8;
const PERSISTENT = 2;

export class AmqpPublisher extends Actor {
  protected readonly listener = 'amqp';
  /** Queues, reached through the default exchange; each is a stream of that name. */
  readonly #queues: readonly string[];
  readonly #total: number;
  #made = 0;
  #open: Sent[] = [];
  #wake: () => void = () => {};

  constructor(world: World, name: string, queues: readonly string[], total: number) {
    super(world, name);
    this.#queues = queues;
    this.#total = total;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new AmqpLink(wire, this.world.scheduler);
    await link.open();
    await link.call('confirm.select', { noWait: false }, 'confirm.select-ok');
    /** By delivery tag less one. */
    const published: (Sent | null)[] = [];
    link.onConfirm = (tag, multiple, isAck) =>
      this.#confirmed(link, published, tag, multiple, isAck);
    for (const message of this.#open) this.#send(link, published, message);
    while (this.#made < this.#total || this.#open.length > 0) {
      if (this.#made < this.#total && this.#open.length < WINDOW) {
        this.#send(link, published, this.#next());
        if (this.random.chance(0.5)) continue;
        await Promise.race([this.pause(0, this.world.closing ? 1 : 100), link.lost]);
      } else {
        const progress = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        await Promise.race([progress, link.lost]);
      }
    }
    this.done = true;
  }

  #next(): Sent {
    const stream = this.random.pick(this.#queues);
    const lane = `${this.name}@${stream}`;
    const given = { publisher: this.name, sequence: this.#made++, stream, address: stream, lane };
    const size = this.random.chance(0.05) ? 12_000 : this.random.integer(10, 150);
    const message = this.world.ledger.make({ ...given, mode: 'at-least-once' }, size);
    this.#open.push(message);
    return message;
  }

  #send(link: AmqpLink, published: (Sent | null)[], message: Sent): void {
    published.push(message);
    this.world.ledger.sending(message);
    link.publish('', message.stream, message.body, { deliveryMode: PERSISTENT });
  }

  #confirmed(
    link: AmqpLink,
    published: (Sent | null)[],
    tag: number,
    multiple: boolean,
    isAck: boolean,
  ): void {
    for (let each = multiple ? 1 : tag; each <= tag; each++) {
      const message = published[each - 1];
      if (message === undefined) this.world.ledger.fail(`${this.name}: a confirm of ${each}`);
      if (message === null) continue;
      published[each - 1] = null;
      if (!isAck) {
        // Those behind it on this connection may be refused as well: nobody waits for the answers.
        this.world.ledger.refused(message);
        for (const other of published) if (other != null) this.world.ledger.refused(other);
        link.wire.reset();
        return;
      }
      this.world.ledger.acked(message);
      this.#open = this.#open.filter((other) => other !== message);
    }
    this.#wake();
  }
}
