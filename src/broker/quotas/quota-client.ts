/**
 * A client as the quotas see it: a user with a client id, of one connection. It holds what it
 * shares with others until `leave`; asked for each request, so without quotas it costs a look.
 */
import type { QuotaKind } from './quota.ts';
import type { Quotas } from './quotas.ts';
import type { Share } from './share.ts';

export class QuotaClient {
  readonly user: string;
  readonly client: string;
  readonly #quotas: Quotas;
  readonly #shares = new Map<QuotaKind, Share>();
  #version = 0;

  constructor(quotas: Quotas, user: string, client: string) {
    this.#quotas = quotas;
    this.user = user;
    this.client = client;
  }

  /** Takes part of a quota. @returns ms for which those who share it owe; 0 for not at all */
  take(kind: QuotaKind, amount: number): number {
    const share = this.#share(kind);
    return share === undefined ? 0 : share.take(amount, this.#quotas.nowMs());
  }

  /** The client is kept waiting: for the metrics. */
  waits(kind: QuotaKind, waitMs: number): void {
    this.#quotas.exceeded(kind, waitMs);
  }

  /** ms until those who share the quota have paid for what they took; nothing is taken. */
  debtMs(kind: QuotaKind): number {
    return this.#share(kind)?.debtMs(this.#quotas.nowMs()) ?? 0;
  }

  /** What may be taken at once; infinite without a quota. */
  most(kind: QuotaKind): number {
    return this.#share(kind)?.most ?? Number.POSITIVE_INFINITY;
  }

  /** True when there is a quota of this kind for it. */
  has(kind: QuotaKind): boolean {
    return this.#share(kind) !== undefined;
  }

  leave(): void {
    for (const share of this.#shares.values()) share.holders--;
    this.#shares.clear();
    // Whoever asks it again finds no quota.
    this.#version = -1;
  }

  #share(kind: QuotaKind): Share | undefined {
    if (this.#version !== this.#quotas.version) this.#find();
    return this.#shares.get(kind);
  }

  #find(): void {
    if (this.#version < 0) return;
    const before = [...this.#shares.values()];
    this.#shares.clear();
    for (const [kind, share] of this.#quotas.sharesOf(this.user, this.client)) {
      share.holders++;
      this.#shares.set(kind, share);
    }
    for (const share of before) share.holders--;
    this.#version = this.#quotas.version;
  }
}
