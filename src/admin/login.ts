/**
 * Who asks: HTTP basic credentials of an administrator. Verifying a password is meant to be slow,
 * so the number of verifications at a time is bounded, and an address that keeps guessing has to
 * wait.
 */
import { type Broker, CLUSTER_ADDRESS } from '#broker';
import { BrokerError, type Clock } from '#kit';

/** Passwords that are verified at the same time. */
const VERIFYING_MAX = 8;
/** Wrong passwords from one address after which it has to wait. */
const FAILURES_MAX = 10;
/** Time in which they count, and how long it has to wait. */
const WINDOW_MS = 60_000;
/** Addresses whose wrong passwords are counted. */
const ADDRESSES_MAX = 10_000;

export class Login {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();
  #verifying = 0;

  constructor(broker: Broker, clock: Clock) {
    this.#broker = broker;
    this.#clock = clock;
  }

  /**
   * The name of the administrator whose credentials the header carries.
   * @throws BrokerError `bad-credentials`, `not-authorized`, `limit-reached`
   */
  async administrator(
    header: string | undefined,
    peer: { address: string; loopback: boolean },
  ): Promise<string> {
    const credentials = readBasic(header);
    if (credentials === null)
      throw new BrokerError('bad-credentials', 'Use HTTP basic credentials.');
    if (this.#isBlocked(peer.address) || this.#verifying >= VERIFYING_MAX) {
      throw new BrokerError('limit-reached', 'Too many wrong passwords; wait a minute.');
    }
    this.#verifying++;
    try {
      const { loopback } = peer;
      const principal = await this.#broker.authenticate({ ...credentials, loopback });
      if (!this.#broker.authorize(principal, 'administer', CLUSTER_ADDRESS)) {
        throw new BrokerError('not-authorized', 'An administrator is needed.');
      }
      this.#failures.delete(peer.address);
      return principal.name;
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'bad-credentials')
        this.#fail(peer.address);
      throw error;
    } finally {
      this.#verifying--;
    }
  }

  #isBlocked(address: string): boolean {
    const failure = this.#failures.get(address);
    if (failure === undefined) return false;
    if (this.#clock.monotonicMs() - failure.sinceMs < WINDOW_MS)
      return failure.count >= FAILURES_MAX;
    this.#failures.delete(address);
    return false;
  }

  #fail(address: string): void {
    const failure = this.#failures.get(address);
    if (failure !== undefined) {
      failure.count++;
      return;
    }
    if (this.#failures.size >= ADDRESSES_MAX) this.#failures.clear();
    this.#failures.set(address, { count: 1, sinceMs: this.#clock.monotonicMs() });
  }
}

function readBasic(header: string | undefined): { user: string; password: string } | null {
  const match = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '');
  if (match === null) return null;
  const text = Buffer.from(match[1]!, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
