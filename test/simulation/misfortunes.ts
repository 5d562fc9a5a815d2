/**
 * What goes wrong while a server runs, as the seed wants it: a disk that is slow, full or failing,
 * a network that stalls or drops connections, a wall clock that jumps. Crashes are made by the run.
 */
import type { Seeded } from './seeded.ts';
import type { World } from './world.ts';

/** Pause between two misfortunes. */
const PAUSE_MS = [100, 1_500] as const;
const CLOCK_AHEAD_MS_MAX = 20 * 60_000;
/** Less than readers get at the end: what is due by the wall clock comes later by that much. */
const CLOCK_BACK_MS_MAX = 60_000;
/** The longest time for which nothing passes. */
export const PARTITION_MS_MAX = 4_000;
/** Delays that the disk and the network have between two misfortunes, in ms at most. */
const DISK_MS = [0.2, 1, 10] as const;
const NETWORK_MS = [1, 5, 30] as const;

type Misfortune = (world: World, random: Seeded) => Promise<void>;

const DISK: readonly Misfortune[] = [slowDisk, fullDisk, failingWrite, failingSync];
const OTHERS: readonly Misfortune[] = [partition, resets, clockJump, slowNetwork];

export class Misfortunes {
  readonly #world: World;
  readonly #random: Seeded;
  readonly #chosen: readonly Misfortune[];
  readonly #diskMs: number;
  readonly #networkMs: number;

  constructor(world: World) {
    this.#world = world;
    const random = world.random('misfortunes');
    this.#random = random;
    this.#diskMs = random.pick(DISK_MS);
    this.#networkMs = random.pick(NETWORK_MS);
    // A seed has some kinds only: a world where everything fails at once shows little.
    const disk = DISK.filter(() => random.chance(0.25));
    this.#chosen = [...disk, ...OTHERS.filter(() => random.chance(0.4))];
    world.disk.survival = random.pick([0, 0.3, 0.7, 1]);
    world.network.faults.splitShare = random.pick([0, 0.1, 0.5]);
    this.#normal();
  }

  /** Goes on until the run is closing. */
  async live(): Promise<void> {
    while (this.#chosen.length > 0) {
      await this.#world.scheduler.sleep(this.#random.between(...PAUSE_MS));
      if (this.#world.closing) return;
      await this.#random.pick(this.#chosen)(this.#world, this.#random);
      this.#normal();
    }
  }

  /** Nothing goes wrong any more. */
  calm(): void {
    this.#normal();
    this.#world.network.partitionedUntilMs = 0;
  }

  #normal(): void {
    const { disk, network } = this.#world;
    const delays = this.#random;
    disk.delay = () => delays.between(0.05, this.#diskMs);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.fault = null;
    network.faults.latencyMs = this.#networkMs;
  }
}

/** Waits, but not beyond the end of the run. */
async function during(world: World, lengthMs: number): Promise<void> {
  const untilMs = world.scheduler.nowMs + lengthMs;
  while (!world.closing && world.scheduler.nowMs < untilMs) await world.scheduler.sleep(20);
}

async function slowDisk(world: World, random: Seeded): Promise<void> {
  const mostMs = random.pick([30, 200, 800]);
  world.trace.add(`misfortune: the disk is slow, up to ${mostMs} ms`);
  world.disk.delay = () => random.between(mostMs / 10, mostMs);
  await during(world, random.between(100, 2_000));
}

async function fullDisk(world: World, random: Seeded): Promise<void> {
  const left = random.integer(0, 300_000);
  world.trace.add(`misfortune: the disk has ${left} bytes left`);
  world.disk.capacityBytes = world.disk.usedBytes + left;
  await during(world, random.between(200, 3_000));
}

async function failingWrite(world: World, random: Seeded): Promise<void> {
  await failing(world, random, 'write');
}

async function failingSync(world: World, random: Seeded): Promise<void> {
  await failing(world, random, 'sync');
}

/** One call fails; what comes after it works again, which makes it no more trustworthy. */
async function failing(world: World, random: Seeded, kind: 'write' | 'sync'): Promise<void> {
  let before = random.integer(0, 20);
  world.trace.add(`misfortune: a ${kind} fails after ${before} others`);
  world.disk.fault = (call, path) => {
    if (call !== kind || before-- > 0) return;
    world.disk.fault = null;
    world.trace.add(`disk ${call} ${path} FAILED`);
    throw Object.assign(new Error(`EIO: ${path}`), { code: 'EIO' });
  };
  await during(world, random.between(200, 2_000));
}

async function partition(world: World, random: Seeded): Promise<void> {
  const lengthMs = random.between(50, PARTITION_MS_MAX);
  world.trace.add(`misfortune: nothing passes for ${lengthMs.toFixed(0)} ms`);
  world.network.partitionedUntilMs = world.scheduler.nowMs + lengthMs;
  await during(world, lengthMs);
}

async function resets(world: World, random: Seeded): Promise<void> {
  const share = random.pick([0.2, 0.5, 1]);
  world.trace.add(`misfortune: connections are reset, ${share} of them`);
  for (const wire of [...world.network.wires]) if (random.chance(share)) wire.reset();
}

async function slowNetwork(world: World, random: Seeded): Promise<void> {
  world.trace.add('misfortune: the network is slow');
  world.network.faults.latencyMs = random.between(50, 400);
  await during(world, random.between(100, 2_000));
}

async function clockJump(world: World, random: Seeded): Promise<void> {
  // Never further behind the latest it showed than once the most: what is due must come in time.
  const { clock } = world;
  clock.mostSkewMs = Math.max(clock.mostSkewMs, clock.skewMs);
  const backMs = Math.min(0, clock.mostSkewMs - clock.skewMs - CLOCK_BACK_MS_MAX);
  const byMs = Math.floor(random.between(backMs, CLOCK_AHEAD_MS_MAX));
  world.trace.add(`misfortune: the clock jumps by ${byMs} ms`);
  world.clock.skewMs += byMs;
}
