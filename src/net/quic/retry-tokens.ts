/**
 * Tokens of Retry (RFC 9000, 8.1.2): they prove that a client can be reached at the address it
 * claims, and bring back the id that it chose first. The server remembers nothing for them.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#kit';

/** A client answers a Retry at once. */
const LIFE_MS = 10_000;
const MAC_BYTES = 16;
const TIME_BYTES = 6;

export class RetryTokens {
  readonly #clock: Clock;
  readonly #key = randomBytes(32);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  mint(originalId: Uint8Array, address: string): Buffer {
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(Math.floor(this.#clock.monotonicMs()), 0, TIME_BYTES);
    return Buffer.concat([this.#mac(time, originalId, address), time, originalId]);
  }

  /** The first id of the client; null when the token is not ours, old, or for somebody else. */
  check(token: Uint8Array, address: string): Buffer | null {
    if (token.length < MAC_BYTES + TIME_BYTES) return null;
    const bytes = Buffer.from(token);
    const time = bytes.subarray(MAC_BYTES, MAC_BYTES + TIME_BYTES);
    const id = bytes.subarray(MAC_BYTES + TIME_BYTES);
    if (!timingSafeEqual(this.#mac(time, id, address), bytes.subarray(0, MAC_BYTES))) return null;
    const ageMs = this.#clock.monotonicMs() - time.readUIntBE(0, TIME_BYTES);
    return ageMs <= LIFE_MS ? id : null;
  }

  #mac(time: Uint8Array, id: Uint8Array, address: string): Buffer {
    const mac = createHmac('sha256', this.#key).update(time).update(id).update(address);
    return mac.digest().subarray(0, MAC_BYTES);
  }
}
