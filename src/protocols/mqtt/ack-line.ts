/**
 * Acknowledgements of what one client sends, in the order in which it sent [MQTT-4.6.0-2]:
 * commits may finish in another order than they began (a message without a home is done at once),
 * so each answer waits for those before it. One number per answer, no object.
 */

const DONE = 1 << 17;
const QOS2 = 1 << 16;
const REASON_SHIFT = 18;

export type Answer = (packetId: number, qos2: boolean, reason: number) => void;

export class AckLine {
  /** packet id | QOS2 | DONE | reason << 18. */
  #entries: number[] = [];
  #head = 0;
  /** Token of the entry at index 0. */
  #base = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** Takes a place and returns the token that `done` wants. */
  begin(packetId: number, qos2: boolean): number {
    this.#entries.push(packetId | (qos2 ? QOS2 : 0));
    return this.#base + this.#entries.length - 1;
  }

  /** Gives the newest place back: nothing happened. */
  cancel(): void {
    this.#entries.pop();
  }

  packetId(token: number): number {
    return this.#entries[token - this.#base]! & 0xffff;
  }

  isQos2(token: number): boolean {
    return (this.#entries[token - this.#base]! & QOS2) !== 0;
  }

  done(token: number, reason: number): void {
    const index = token - this.#base;
    this.#entries[index] = this.#entries[index]! | DONE | (reason << REASON_SHIFT);
  }

  /** Gives the answers that are due, in order. */
  drain(answer: Answer): void {
    const entries = this.#entries;
    while (this.#head < entries.length) {
      const entry = entries[this.#head]!;
      if ((entry & DONE) === 0) break;
      this.#head++;
      answer(entry & 0xffff, (entry & QOS2) !== 0, (entry >>> REASON_SHIFT) & 0xff);
    }
    if (this.#head === entries.length) {
      this.#base += entries.length;
      this.#head = 0;
      entries.length = 0;
    } else if (this.#head > 1024) {
      entries.splice(0, this.#head);
      this.#base += this.#head;
      this.#head = 0;
    }
  }
}
