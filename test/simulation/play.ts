/** One run: a world, its clients and its misfortunes, from the first start to the last audit. */

import { Cast } from './cast.ts';
import { Auditor } from './clients/auditor.ts';
import { World } from './world.ts';

/** Virtual time after which a run that does not end is stuck. */
const STUCK_MS = 600_000;

export interface Outcome {
  readonly seed: number;
  /** Over everything that happened. */
  readonly hash: string;
  readonly failure: Error | null;
  readonly tail: readonly string[];
  readonly virtualMs: number;
  readonly events: number;
  readonly counts: World['ledger']['counts'];
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
  world.scheduler.after(STUCK_MS, () => fail(new Error(`not done after ${STUCK_MS} ms`)));
  run.all().then(() => world.scheduler.stop(), fail);
  await world.scheduler.run().catch(fail);
  process.off('unhandledRejection', fail);
  failure ??= world.failure;
  world.abandon();
  const { nowMs, events } = world.scheduler;
  const { tail } = world.trace;
  const { counts } = world.ledger;
  return { seed, hash: world.trace.digest(), failure, tail, virtualMs: nowMs, events, counts };
}

class Run {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async all(): Promise<void> {
    const world = this.#world;
    const random = world.random('run');
    world.network.faults.latencyMs = random.pick([1, 5, 30]);
    world.disk.survival = random.pick([0, 0.3, 0.7, 1]);
    const diskMs = random.pick([0.2, 1, 10]);
    const diskRandom = world.random('disk delays');
    world.disk.delay = () => diskRandom.between(0.05, diskMs);
    await world.start();
    const cast = new Cast(world);
    await cast.prepare();
    const lives = cast.live();
    for (let count = random.integer(1, 4); count > 0; count--) {
      await world.scheduler.sleep(random.between(50, 1500));
      await this.#crash();
    }
    world.closing = true;
    await cast.end();
    await lives;
    await new Auditor(world, 'last audit').live();
    await world.server?.close();
    await this.#restart();
    await new Auditor(world, 'audit after stop').live();
  }

  async #crash(): Promise<void> {
    const world = this.#world;
    world.ledger.crashed();
    const random = world.random(`crash ${world.ledger.counts.crashes}`);
    if (random.chance(0.6)) world.powerCut();
    else world.kill();
    await world.scheduler.sleep(random.between(1, 500));
    await this.#restart();
    await new Auditor(world, `audit ${world.ledger.counts.crashes}`).live();
  }

  async #restart(): Promise<void> {
    if ((await this.#world.start()) === null) throw new Error('the server does not start');
  }
}
