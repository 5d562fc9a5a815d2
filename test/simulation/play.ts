/** One run: a world, its clients and its misfortunes, from the first start to the last audit. */

import { Cast } from './cast.ts';
import { Auditor } from './clients/auditor.ts';
import { DecayAuditor, flipBits } from './decay.ts';
import { Misfortunes } from './misfortunes.ts';
import type { Seeded } from './seeded.ts';
import { type Upkeep, World } from './world.ts';

/** Virtual time after which a run that does not end is stuck. */
const STUCK_MS = 600_000;
const CRASHES_MAX = 4;
const START_TRIES_MAX = 100;
const OPERATOR_LOOKS_MS = 700;
const MOMENT_MS_MAX = 2_000;

export interface Outcome {
  readonly seed: number;
  /** Over everything that happened. */
  readonly hash: string;
  readonly failure: Error | null;
  readonly tail: readonly string[];
  readonly virtualMs: number;
  readonly events: number;
  readonly counts: World['ledger']['counts'];
  readonly upkeep: Upkeep;
}

export async function play(
  seed: number,
  show: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const world = new World(seed, show);
  const run = new Run(world);
  let failure: Error | null = null;
  const fail = (error: unknown): void => {
    failure ??= error instanceof Error ? error : new Error(String(error));
    world.scheduler.stop();
  };
  process.on('unhandledRejection', fail);
  world.scheduler.after(STUCK_MS, () =>
    fail(new Error(`not done after ${STUCK_MS} ms: ${run.state}`)),
  );
  run.all().then(() => world.scheduler.stop(), fail);
  await world.scheduler.run().catch(fail);
  process.off('unhandledRejection', fail);
  failure ??= world.failure;
  world.abandon();
  const { nowMs, events } = world.scheduler;
  const { tail } = world.trace;
  const { counts } = world.ledger;
  const { upkeep } = world;
  const hash = world.trace.digest();
  return { seed, hash, failure, tail, virtualMs: nowMs, events, counts, upkeep };
}

class Run {
  /** For the story of a run that does not end. */
  state = 'has troubles';
  readonly #world: World;
  readonly #random: Seeded;
  readonly #misfortunes: Misfortunes;
  /** The fall that is going on, or the last one: there is one at a time. */
  #falling: Promise<void> = Promise.resolve();

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random('run');
    this.#misfortunes = new Misfortunes(world);
  }

  async all(): Promise<void> {
    const world = this.#world;
    await this.#restart();
    const cast = new Cast(world);
    await cast.prepare();
    const lives = cast.live();
    const troubles = Promise.all([this.#misfortunes.live(), this.#operate()]);
    for (let count = this.#random.integer(1, CRASHES_MAX); count > 0; count--) {
      await this.#moment();
      await this.#fall();
    }
    this.state = 'ends its troubles';
    world.closing = true;
    await troubles;
    this.#misfortunes.calm();
    await this.#fall(() => world.server?.broker.health === 'failed');
    this.state = 'waits for its clients';
    await cast.end();
    await lives;
    this.state = 'is audited';
    await new Auditor(world, 'last audit').live();
    await world.server?.close();
    world.gone();
    await this.#restart();
    await new Auditor(world, 'audit after stop').live();
    if (world.damage.length > 0) {
      world.ledger.fail(`damage without a fault of the disk: ${JSON.stringify(world.damage[0])}`);
    }
    if (this.#random.chance(0.5)) await this.#decay();
  }

  /** Bits flip on the disk; readers get what they got before, or are told. */
  async #decay(): Promise<void> {
    const world = this.#world;
    this.state = 'decays';
    await world.server?.close();
    world.gone();
    flipBits(world);
    // A server that says so and does not start serves nothing wrong.
    if ((await world.start()) !== null) await new DecayAuditor(world, 'decay audit').live();
  }

  /**
   * Some time, or some work of the disk: the middle of a commit is worth more than a quiet hour.
   */
  #moment(): Promise<void> {
    if (this.#random.chance(0.5))
      return this.#world.scheduler.sleep(this.#random.between(50, 1_500));
    return this.#world.diskCalls(this.#random.integer(5, 300), MOMENT_MS_MAX);
  }

  /** Takes the server down in one way or another, starts it again and looks at what is left. */
  #fall(isNeeded: () => boolean = () => true): Promise<void> {
    this.#falling = this.#falling.then(() => (isNeeded() ? this.#fallNow() : undefined));
    return this.#falling;
  }

  async #fallNow(): Promise<void> {
    const world = this.#world;
    const random = world.random(`fall ${world.ledger.counts.crashes}`);
    const way = random.next();
    if (way < 0.2 && world.server?.broker.health === 'ok') {
      world.trace.add('stop');
      const stopped = world.ledger.stopping();
      await world.server.close();
      stopped();
      world.gone();
    } else {
      world.ledger.crashed();
      if (way < 0.65) world.powerCut();
      else world.kill();
    }
    await world.scheduler.sleep(random.between(1, 500));
    await this.#restart();
    await new Auditor(world, `audit ${world.ledger.counts.crashes}`).live();
  }

  /** Starts the server; now and then it falls again before it is up. */
  async #restart(): Promise<void> {
    const world = this.#world;
    for (let tries = 1; ; tries++) {
      const isUnlucky = tries < 4 && this.#random.chance(0.2);
      if (isUnlucky) {
        world.scheduler.after(this.#random.between(0, 15), () => {
          if (world.server !== null) return;
          world.ledger.crashed();
          world.powerCut();
        });
      }
      if ((await world.start()) !== null) return;
      if (tries > START_TRIES_MAX) throw new Error('the server does not start');
      await world.scheduler.sleep(this.#random.between(10, 200));
    }
  }

  /** An operator: a server that says of itself that it has failed is started anew. */
  async #operate(): Promise<void> {
    const world = this.#world;
    while (!world.closing) {
      await world.scheduler.sleep(OPERATOR_LOOKS_MS);
      await this.#fall(() => world.server?.broker.health === 'failed');
    }
  }
}
