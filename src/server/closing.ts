/** What was started, to be closed in reverse order, whether the start succeeded or not. */
import type { Log } from '#kit';

export class Closing {
  readonly #log: Log;
  readonly #steps: { name: string; close: () => void | Promise<void> }[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(name: string, close: () => void | Promise<void>): void {
    this.#steps.push({ name, close });
  }

  /** Goes through all steps, also when some fail; false when any did. */
  async run(): Promise<boolean> {
    let clean = true;
    for (const { name, close } of this.#steps.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        clean = false;
        this.#log.error(`closing ${name} failed`, { reason: String(error) });
      }
    }
    return clean;
  }
}
