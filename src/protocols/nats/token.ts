/** The secret that clients may send instead of a user and a password (N40): is it the right one? */
import { createHash, timingSafeEqual } from 'node:crypto';

export class Token {
  /** Null where no token is configured: none is right then. */
  readonly #digest: Buffer | null;

  constructor(secret: string) {
    this.#digest = secret === '' ? null : digestOf(secret);
  }

  /** Everybody must say who they are, also on this machine. */
  get needed(): boolean {
    return this.#digest !== null;
  }

  /** Takes the same time for every wrong token, whatever its length. */
  isRight(token: string): boolean {
    return this.#digest !== null && timingSafeEqual(this.#digest, digestOf(token));
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
