/**
 * Lets in whom the ban list does not name and whose address has not come too often of late, and
 * bans who comes and goes too often.
 */
import type { Client } from '#contract';
import { type Clock, expectBrokerError, type Log } from '#kit';
import type { Admission } from '../admission.ts';
import type { Ban } from './ban.ts';
import type { BanList } from './ban-list.ts';
import { Flapping } from './flapping.ts';

export interface GatekeeperOptions {
  readonly flappingCount: number;
  readonly flappingWindow: number;
  readonly flappingBan: number;
}

export class Gatekeeper implements Admission {
  readonly #bans: BanList;
  readonly #flapping: Flapping;
  readonly #banMs: number;
  readonly #log: Log;
  readonly #withinQuota: (address: string) => boolean;

  /** @param withinQuota counts a connection from there: false when there are too many a second */
  constructor(
    bans: BanList,
    options: GatekeeperOptions,
    clock: Clock,
    log: Log,
    withinQuota: (address: string) => boolean = () => true,
  ) {
    this.#withinQuota = withinQuota;
    this.#bans = bans;
    this.#banMs = options.flappingBan;
    this.#log = log;
    this.#flapping = new Flapping(clock, {
      countMax: options.flappingCount,
      windowMs: options.flappingWindow,
    });
  }

  refusesAddress(address: string): string | null {
    const banned = sentence(this.#bans.ofAddress(address));
    if (banned !== null) return banned;
    return this.#withinQuota(address) ? null : 'the quota of connections of its address';
  }

  refusesClient(client: Client): string | null {
    return sentence(this.#bans.ofClient(client));
  }

  left({ clientId }: Client): void {
    if (clientId === null || !this.#flapping.left(clientId)) return;
    try {
      const reason = 'it came and went too often';
      this.#bans.add({ kind: 'client', value: clientId, reason, forMs: this.#banMs });
      this.#log.warn('client is banned for a while', { client: clientId, forMs: this.#banMs });
    } catch (error) {
      const { message } = expectBrokerError(error);
      this.#log.warn('client is not banned', { client: clientId, reason: message });
    }
  }
}

function sentence(ban: Ban | null): string | null {
  if (ban === null) return null;
  return ban.reason === '' ? `banned (${ban.kind})` : `banned (${ban.kind}): ${ban.reason}`;
}
