/**
 * What one reader, or a group of them, must get: everything that was sent after it began and was
 * acknowledged, in the order of its lane, and once where that was promised.
 */
import type { Ledger, Sent } from './ledger.ts';
import type { Wire } from './network.ts';

export interface ConsumptionRules {
  readonly name: string;
  /** Does this message concern the reader? */
  readonly wants: (sent: Sent) => boolean;
  /** First arrivals keep the order of their lane; not so where several members share the work. */
  readonly ordered: boolean;
  /**
   * Everything must come. Otherwise it is a live reader, which may miss what it was not there for.
   */
  readonly complete: boolean;
  /** Its messages are copies (dead letters): a crash may have made one twice. */
  readonly copies?: boolean;
}

export class Consumption {
  readonly rules: ConsumptionRules;
  /** Virtual time from which on messages must arrive; -1 = not begun. */
  sinceMs = -1;
  readonly arrived = new Map<string, number>();
  readonly #ledger: Ledger;
  readonly #last = new Map<string, number>();
  readonly #settled = new Map<string, { readonly atMs: number; readonly wire: Wire }>();

  constructor(ledger: Ledger, rules: ConsumptionRules) {
    this.#ledger = ledger;
    this.rules = rules;
  }

  /** A member's subscription was acknowledged. */
  begin(member: string): void {
    if (this.sinceMs >= 0) return;
    this.sinceMs = this.#ledger.nowMs;
    this.#ledger.note(`${this.rules.name} begins with ${member}`);
  }

  /** @param once the hop promises that it does not come twice */
  got(member: string, body: Buffer, once: boolean): Sent {
    const { name, wants, ordered, complete } = this.rules;
    const sent = this.#ledger.identify(body, `${name} by ${member}`);
    if (!wants(sent)) this.#ledger.fail(`${name} got ${sent.id} of ${sent.address}`);
    this.#ledger.delivered(sent, name);
    const times = (this.arrived.get(sent.id) ?? 0) + 1;
    this.arrived.set(sent.id, times);
    this.#ledger.note(`${name} got ${sent.id} by ${member}${times > 1 ? ` again ${times}` : ''}`);
    if (times > 1) {
      if (once && sent.mode === 'exactly-once') {
        this.#ledger.fail(`${name}: ${sent.id} came ${times} times with exactly once`);
      }
      return sent;
    }
    if (sent.refused) return sent;
    const before = this.#last.get(sent.lane) ?? -1;
    // Live readers may have missed it the first time, if it was sent twice.
    const isJudged = ordered && (complete || sent.sends === 1);
    if (isJudged && sent.sequence < before) {
      this.#ledger.fail(`${name}: ${sent.id} came after ${before} of ${sent.lane}`);
    }
    this.#last.set(sent.lane, sent.sequence);
    return sent;
  }

  /** Of a queue with acknowledgements: what was acknowledged comes again only for a reason. */
  took(member: string, body: Buffer, redelivered: boolean): Sent {
    const sent = this.got(member, body, false);
    const before = this.#settled.get(sent.id);
    // Sent twice, it may be stored twice: then nobody can tell a copy from a redelivery.
    if (before !== undefined && sent.sends === 1 && !this.#excused(sent, before)) {
      const how = redelivered ? 'redelivered' : 'delivered';
      this.#ledger.fail(`${this.rules.name}: ${sent.id} was ${how} after its acknowledgement`);
    }
    return sent;
  }

  #excused(sent: Sent, before: { readonly atMs: number; readonly wire: Wire }): boolean {
    if (before.wire.closed || this.#ledger.isUnsure(before.atMs)) return true;
    return this.rules.copies === true && this.#ledger.wentDownSince(sent.firstMs);
  }

  /** The reader is done with it, and says so now. */
  settled(sent: Sent, wire: Wire): void {
    sent.consumed = true;
    // Said to a server that is gone already.
    if (wire.server === null) return;
    this.#settled.set(sent.id, { atMs: this.#ledger.nowMs, wire });
  }

  /** Of a live subscription: not twice, unless it was sent twice. */
  live(member: string, body: Buffer): void {
    const sent = this.got(member, body, false);
    const times = this.arrived.get(sent.id)!;
    if (times > sent.sends) {
      this.#ledger.fail(`${this.rules.name}: ${sent.id} came ${times} times, sent ${sent.sends}`);
    }
  }

  /** A message that must come and did not yet, or null. */
  missing(): Sent | null {
    if (this.sinceMs < 0) return null;
    for (const sent of this.#ledger.sent.values()) {
      if (sent.ackedMs < 0 || sent.mode === 'at-most-once' || sent.firstMs <= this.sinceMs)
        continue;
      if (this.rules.wants(sent) && !this.arrived.has(sent.id)) return sent;
    }
    return null;
  }
}
