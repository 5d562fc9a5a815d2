/**
 * A client: connects, does what it does at random moments, is thrown out, comes back, and finishes
 * what it began when the run is closing.
 */
import type { Wire } from './network.ts';
import type { Seeded } from './seeded.ts';
import type { World } from './world.ts';

/** The connection is gone, or the server gave no answer in time. */
export class Lost extends Error {}

export abstract class Actor {
  readonly world: World;
  readonly name: string;
  readonly random: Seeded;
  /** Nothing more to do: everything it began has an end. */
  done = false;
  wire: Wire | null = null;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random(name);
  }

  /** One connection's life: resolves or rejects with `Lost` when it ends. */
  protected abstract session(wire: Wire): Promise<void>;
  protected abstract readonly listener: string;

  /** Lives until the run is closing and everything is done. */
  async live(): Promise<void> {
    while (!this.done) {
      try {
        const wire = await this.#connected();
        await this.session(wire);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        this.world.trace.add(`${this.name} lost its connection: ${error.message}`);
      }
      this.wire?.reset();
      this.wire = null;
      if (!this.done) await this.pause(5, 400);
    }
    this.world.trace.add(`${this.name} is done`);
  }

  pause(lowMs: number, highMs: number): Promise<void> {
    return this.world.scheduler.sleep(this.random.between(lowMs, highMs));
  }

  async #connected(): Promise<Wire> {
    const wire = this.world.network.connect(this.listener, this.name);
    this.wire = wire;
    await new Promise<void>((resolve, reject) => {
      wire.onOpen = resolve;
      wire.onClosed = () => reject(new Lost('refused'));
    });
    return wire;
  }
}

/** A promise that somebody waits for, or nobody: a rejection is never loose. */
export class Answer<T> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}
