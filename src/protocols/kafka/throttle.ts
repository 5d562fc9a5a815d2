/**
 * What quotas do to one connection: its answers leave at once and tell how long it has to wait,
 * and for so long none of its requests is begun (KIP-219). Without quotas this costs one look at a
 * flag per request.
 */
import type { QuotaClient, QuotaKind } from '#broker';
import type { Timer } from '#kit';
import type { Call } from './call.ts';
import type { Session } from './session.ts';

/**
 * Longest wait for time of the thread: one request may have taken more than a small quota gives in
 * minutes, and who is silent for minutes loses its place in its group. The rest is paid later.
 */
const REQUEST_WAIT_MS_MAX = 10_000;

export class Throttle {
  readonly #session: Session;
  readonly #goOn: () => void;
  #client: QuotaClient | null = null;
  /** Until when nothing is begun, on the monotonic clock. */
  #untilMs = 0;
  #timer: Timer | null = null;
  /** The request that is being served in this very moment. */
  #serving: Call | null = null;
  #closed = false;

  constructor(session: Session, goOn: () => void) {
    this.#session = session;
    this.#goOn = goOn;
  }

  get muted(): boolean {
    return this.#timer !== null;
  }

  /** Takes part of a quota for a call; what is too much makes the client wait. */
  take(call: Call, kind: QuotaKind, amount: number): void {
    const client = this.#clientOf(call);
    if (client !== null) this.delay(call, kind, client.take(kind, amount));
  }

  /** Takes part of a quota without a wait: who asks next has it. */
  spend(call: Call, kind: QuotaKind, amount: number): void {
    this.#clientOf(call)?.take(kind, amount);
  }

  /** ms until others with the same quota, or it itself, have paid. */
  debtMs(call: Call, kind: QuotaKind): number {
    return this.#clientOf(call)?.debtMs(kind) ?? 0;
  }

  /** Bytes or other units that it may take at once. */
  most(call: Call, kind: QuotaKind): number {
    return this.#clientOf(call)?.most(kind) ?? Number.POSITIVE_INFINITY;
  }

  /** Tells the client to wait, and sees to it. */
  delay(call: Call, kind: QuotaKind, waitMs: number): void {
    if (waitMs <= 0) return;
    this.#client?.waits(kind, waitMs);
    call.throttleMs = Math.max(call.throttleMs, Math.min(Math.ceil(waitMs), 0x7fffffff));
    const untilMs = this.#nowMs() + waitMs;
    if (untilMs <= this.#untilMs || this.#closed) return;
    this.#untilMs = untilMs;
    if (this.#timer === null) this.#arm();
  }

  serving(call: Call): void {
    this.#serving = call;
  }

  /** The request has begun: what it does later is not in one piece with it. */
  served(call: Call): void {
    this.#serving = null;
    if (!call.settled && this.#counts(call)) call.busyMs += this.#nowMs() - call.beganMs;
  }

  /** A request that waited goes on. */
  again(call: Call, work: () => void): void {
    if (!this.#counts(call)) {
      work();
      return;
    }
    const sinceMs = this.#nowMs();
    work();
    if (call.settled) this.wrote(sinceMs);
    else call.busyMs += this.#nowMs() - sinceMs;
  }

  /** The answer of a call is there, and what it cost in time of the thread. */
  answering(call: Call): void {
    const client = this.#clientOf(call);
    if (client === null || !client.has('request-percent')) return;
    const busyMs = this.#serving === call ? this.#nowMs() - call.beganMs : call.busyMs;
    const waitMs = Math.min(client.take('request-percent', busyMs), REQUEST_WAIT_MS_MAX);
    this.delay(call, 'request-percent', waitMs);
  }

  /** Work for answers that are gone, from then to now: the next request waits for it. */
  wrote(sinceMs: number): void {
    if (this.#client?.has('request-percent')) {
      this.#client.take('request-percent', this.#nowMs() - sinceMs);
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#client?.leave();
    this.#client = null;
  }

  #counts(call: Call): boolean {
    return this.#clientOf(call)?.has('request-percent') ?? false;
  }

  #clientOf({ clientId }: Call): QuotaClient | null {
    const { principal, room } = this.#session;
    const { quotas } = room.broker;
    if (quotas.blank || principal === null || this.#closed) return null;
    const known = this.#client;
    if (known !== null && known.client === clientId && known.user === principal.name) return known;
    this.#client = quotas.enter(principal.name, clientId);
    known?.leave();
    return this.#client;
  }

  #arm(): void {
    const { timers } = this.#session.room.host;
    this.#timer = timers.after(Math.ceil(this.#untilMs - this.#nowMs()), () => {
      this.#timer = null;
      // A timer of the machine may come a moment early.
      if (this.#nowMs() < this.#untilMs) this.#arm();
      else this.#goOn();
    });
  }

  #nowMs(): number {
    return this.#session.room.host.clock.monotonicMs();
  }
}
