/** How many connections each address has open on a listener, when that is limited. */
import type { Socket } from 'node:net';

export class AddressCounts {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  /** @param max 0 for no limit: nothing is counted then */
  constructor(max: number) {
    this.#max = max;
  }

  /** Counts it until it closes; else the reason why it may not come in. */
  enter(address: string, socket: Pick<Socket, 'once'>): string | null {
    if (this.#max === 0) return null;
    const open = this.#open.get(address) ?? 0;
    if (open >= this.#max) return 'too many connections from its address';
    this.#open.set(address, open + 1);
    socket.once('close', () => {
      const left = this.#open.get(address)! - 1;
      if (left === 0) this.#open.delete(address);
      else this.#open.set(address, left);
    });
    return null;
  }
}
