/** One subscription of one session: its options, and where it is registered with the broker. */
import type { Pattern, Subscription } from '#broker';
import type { FilterRequest } from './codec/index.ts';
import type { StoredReplay } from './features/stored-replay.ts';
import type { GroupMember } from './shared-groups.ts';

export class SessionSubscription implements FilterRequest {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Subscription identifier; 0 for none. */
  readonly id: number;
  /** The identifier as packets carry it; null for none. */
  readonly ids: readonly number[] | null;
  /** Of the filter that is matched: for a shared one without its prefix. */
  readonly pattern: Pattern;
  registration: Subscription | null = null;
  member: GroupMember | null = null;
  /** It reads what is stored. */
  replay: StoredReplay | null = null;

  constructor(request: FilterRequest, id: number, pattern: Pattern) {
    this.filter = request.filter;
    this.qos = request.qos;
    this.noLocal = request.noLocal;
    this.retainAsPublished = request.retainAsPublished;
    this.retainHandling = request.retainHandling;
    this.id = id;
    this.ids = id === 0 ? null : [id];
    this.pattern = pattern;
  }

  /** Registered with the broker by the session itself. */
  get plain(): boolean {
    return this.member === null && this.replay === null;
  }
}
