/** The client's side of a SCRAM log-in, as RFC 5802 has it; for tests of those that carry it. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

export type ScramName = 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

export class ScramClient {
  readonly first: Buffer;
  readonly #mechanism: ScramName;
  readonly #password: string;
  readonly #bare: string;
  /** What the server must say at the end. */
  signature = '';

  constructor(mechanism: ScramName, user: string, password: string) {
    this.#mechanism = mechanism;
    this.#password = password;
    this.#bare = `n=${user},r=fyko+d2lbbFgONRv9qkxdawL`;
    this.first = Buffer.from(`n,,${this.#bare}`);
  }

  /** The last message, on the server's first. */
  final(serverFirst: Buffer): Buffer {
    const hash = this.#mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512';
    const answer = serverFirst.toString();
    const [nonce, salt, iterations] = answer.split(',').map((field) => field.slice(2));
    const bytes = hash === 'sha256' ? 32 : 64;
    const saltBytes = Buffer.from(salt!, 'base64');
    const salted = pbkdf2Sync(this.#password, saltBytes, Number(iterations), bytes, hash);
    const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
    const clientKey = hmac(salted, 'Client Key');
    const stored = createHash(hash).update(clientKey).digest();
    const without = `c=biws,r=${nonce}`;
    const spoken = `${this.#bare},${answer},${without}`;
    const signature = hmac(stored, spoken);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!));
    this.signature = `v=${hmac(hmac(salted, 'Server Key'), spoken).toString('base64')}`;
    return Buffer.from(`${without},p=${proof.toString('base64')}`);
  }
}
