/**
 * Core NATS: at most once, so only what comes is judged: its body, its order, that it is no copy.
 */
import { Actor } from '../actor.ts';
import type { Consumption } from '../consumption.ts';
import type { Wire } from '../network.ts';
import type { World } from '../world.ts';
import type { Route } from './mqtt-publisher.ts';
import { NatsLink } from './nats-link.ts';

export class NatsPublisher extends Actor {
  protected readonly listener = 'nats';
  readonly #routes: readonly Route[];
  readonly #total: number;
  #made = 0;

  constructor(world: World, name: string, routes: readonly Route[], total: number) {
    super(world, name);
    this.#routes = routes;
    this.#total = total;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new NatsLink(wire, this.world.scheduler);
    await link.open();
    while (this.#made < this.#total) {
      for (let count = this.random.integer(1, 5); count > 0; count--) this.#publish(link);
      await link.ping();
      await Promise.race([this.pause(0, this.world.closing ? 1 : 150), link.lost]);
    }
    this.done = true;
  }

  #publish(link: NatsLink): void {
    const { stream, topic } = this.random.pick(this.#routes);
    const lane = `${this.name}@${topic}`;
    const given = { publisher: this.name, sequence: this.#made++, stream, address: topic, lane };
    const size = this.random.integer(10, 200);
    const message = this.world.ledger.make({ ...given, mode: 'at-most-once' }, size);
    this.world.ledger.sending(message);
    link.publish(topic, message.body);
  }
}

export class NatsSubscriber extends Actor {
  protected readonly listener = 'nats';
  readonly #subject: string;
  readonly #group: string;
  readonly #consumption: Consumption;

  constructor(
    world: World,
    name: string,
    subject: string,
    group: string,
    consumption: Consumption,
  ) {
    super(world, name);
    this.#subject = subject;
    this.#group = group;
    this.#consumption = consumption;
  }

  protected async session(wire: Wire): Promise<void> {
    const { random, world } = this;
    const link = new NatsLink(wire, world.scheduler);
    link.onMessage = ({ body }) => this.#consumption.live(this.name, body);
    await link.open();
    link.subscribe(this.#subject, 1, this.#group);
    for (;;) {
      await Promise.race([world.scheduler.sleep(random.between(100, 2_000)), link.lost]);
      if (this.done || (random.chance(0.2) && !world.closing)) return;
      await link.ping();
    }
  }
}

/** Answers each request with its own words. */
export class NatsResponder extends Actor {
  protected readonly listener = 'nats';

  protected async session(wire: Wire): Promise<void> {
    const link = new NatsLink(wire, this.world.scheduler);
    link.onMessage = ({ reply, body }) => {
      if (reply !== null) link.publish(reply, Buffer.concat([Buffer.from('re:'), body]));
    };
    await link.open();
    link.subscribe('service.echo', 1, 'workers');
    for (;;) {
      await Promise.race([this.pause(50, 1_000), link.lost]);
      if (this.done) return;
      await link.ping();
    }
  }
}

export class NatsRequester extends Actor {
  protected readonly listener = 'nats';
  readonly #total: number;
  #asked = 0;

  constructor(world: World, name: string, total: number) {
    super(world, name);
    this.#total = total;
  }

  protected async session(wire: Wire): Promise<void> {
    const link = new NatsLink(wire, this.world.scheduler);
    const inbox = `_INBOX.${this.name}`;
    const open = new Map<string, string>();
    link.onMessage = ({ subject, body, status }) => {
      const expected = open.get(subject);
      if (expected === undefined) this.world.ledger.fail(`${this.name}: an answer on ${subject}`);
      open.delete(subject);
      // Nobody answers there just now: also an answer.
      if (status === '503') return;
      if (body.toString() !== `re:${expected}`) {
        this.world.ledger.fail(`${this.name}: '${body.toString()}' answers '${expected}'`);
      }
    };
    await link.open();
    link.subscribe(`${inbox}.*`, 1);
    while (this.#asked < this.#total) {
      const reply = `${inbox}.${++this.#asked}`;
      open.set(reply, `question ${this.#asked}`);
      link.publish('service.echo', Buffer.from(`question ${this.#asked}`), reply);
      await Promise.race([this.pause(0, this.world.closing ? 5 : 200), link.lost]);
    }
    await link.ping();
    this.done = true;
  }
}
