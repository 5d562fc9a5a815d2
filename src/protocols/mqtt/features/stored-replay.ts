/**
 * `$s/{earliest|latest|timestamp}/{filter}`: what a stream holds under a filter, from there on and
 * going on with what comes, for a plain MQTT client (M187). Each partition is read in its order,
 * paced by the client. A session that outlives its connection goes on behind what it acknowledged.
 */
import { type Broker, type Message, type Partition, type Stream, slashSpelling } from '#broker';
import { BrokerError } from '#kit';
import type { Acknowledged, Feed } from '../outbound.ts';
import type { Session } from '../session.ts';
import type { SessionSubscription } from '../subscription.ts';
import { filterMatches, type ReplayFilter, replayFilter } from '../topics.ts';

const READ_BYTES = 256 << 10;
/** Records that are looked at before others get their turn. */
const LOOKED_MAX = 1000;

/** The group under which the place of a session is kept; admin lists its lag. */
function replayGroup(clientId: string, filter: string): string {
  return `mqtt.replay/${clientId}/${filter}`;
}

/**
 * The stream that a filter reads from: that of its first level.
 * @throws BrokerError `invalid-name` when that level is a wildcard, `unknown-stream`
 */
function streamOf(broker: Broker, filter: string): Stream {
  const first = filter.split('/')[0]!;
  if (first === '+' || first === '#') {
    throw new BrokerError('invalid-name', 'the first level names the stream.');
  }
  const home = broker.routes.home(slashSpelling.parse(first), 'first-level');
  if (home.stream === null) throw new BrokerError('unknown-stream', `'${first}'`);
  return home.stream;
}

export class StoredReplay implements Feed {
  readonly #session: Session;
  readonly #subscription: SessionSubscription;
  readonly #lanes: Lane[];

  /** @throws BrokerError see `streamOf` */
  constructor(session: Session, subscription: SessionSubscription) {
    this.#session = session;
    this.#subscription = subscription;
    const wish = replayFilter(subscription.filter)!;
    const stream = streamOf(session.room.broker, wish.filter);
    this.#lanes = stream.partitions.map(
      (partition) => new Lane(session, subscription, partition, wish),
    );
  }

  attach(): void {
    for (const lane of this.#lanes) lane.attach();
  }

  detach(): void {
    for (const lane of this.#lanes) lane.detach();
  }

  wake(): void {
    for (const lane of this.#lanes) lane.wake();
  }

  /** The subscription ends: its place is forgotten. */
  forget(): void {
    for (const lane of this.#lanes) lane.end();
    const { room, clientId } = this.#session;
    room.broker.cursors.remove(replayGroup(clientId, this.#subscription.filter));
  }
}

class Lane implements Acknowledged {
  readonly #session: Session;
  readonly #subscription: SessionSubscription;
  readonly #partition: Partition;
  readonly #wish: ReplayFilter;
  readonly #group: string;
  #untail: (() => void) | null = null;
  /** Where it reads next; -1 while that is not known. */
  #next = -1;
  #read: readonly Message[] = [];
  #at = 0;
  /** Grows with every detach: what was asked for before counts no more. */
  #turn = 0;
  #busy = false;
  /** Offsets that were sent and not acknowledged, in their order. */
  readonly #open = new Set<number>();
  #saved = -1;
  #saving = false;
  #ended = false;

  constructor(
    session: Session,
    subscription: SessionSubscription,
    partition: Partition,
    wish: ReplayFilter,
  ) {
    this.#session = session;
    this.#subscription = subscription;
    this.#partition = partition;
    this.#wish = wish;
    this.#group = replayGroup(session.clientId, subscription.filter);
  }

  attach(): void {
    if (this.#untail !== null) return;
    this.#untail = this.#partition.tail(() => this.wake());
    if (this.#next >= 0) this.wake();
    else this.#find();
  }

  /** What was sent and not acknowledged is sent again from the first of it on. */
  detach(): void {
    this.#untail?.();
    this.#untail = null;
    this.#turn++;
    this.#busy = false;
    this.#read = [];
    this.#at = 0;
    const [first] = this.#open;
    if (first !== undefined) this.#next = first;
    this.#open.clear();
  }

  end(): void {
    this.#ended = true;
    this.detach();
  }

  ack(offset: number): void {
    if (!this.#open.delete(offset) || !this.#session.durable || this.#saving) return;
    this.#saving = true;
    this.#session.room.timers.soon(() => {
      this.#saving = false;
      this.#save();
    });
  }

  wake(): void {
    if (this.#untail === null || this.#busy || this.#next < 0) return;
    for (let looked = 0; looked < LOOKED_MAX; ) {
      const message = this.#read[this.#at];
      if (message === undefined) {
        if (!this.#fill()) return;
        continue;
      }
      looked++;
      if (!this.#send(message)) return;
      this.#at++;
    }
    this.#later();
  }

  #later(): void {
    const turn = this.#turn;
    this.#busy = true;
    this.#session.room.timers.soon(() => {
      if (turn !== this.#turn) return;
      this.#busy = false;
      this.wake();
    });
  }

  /** @returns false when there is nothing to send now */
  #fill(): boolean {
    const from = Math.max(this.#next, this.#partition.startOffset);
    if (from >= this.#partition.stableOffset) return false;
    const run = this.#partition.readRun(from, READ_BYTES);
    if (!(run instanceof Promise)) return this.#take(run);
    const turn = this.#turn;
    this.#busy = true;
    run.then(
      (read) => {
        if (turn !== this.#turn) return;
        this.#busy = false;
        this.#take(read);
        this.wake();
      },
      (error: unknown) => this.#failed(turn, error),
    );
    return false;
  }

  #take(run: { readonly messages: readonly Message[]; readonly next: number }): boolean {
    this.#read = run.messages;
    this.#at = 0;
    if (run.messages.length === 0) this.#next = Math.max(this.#next, run.next);
    return true;
  }

  /** Asked again when something new comes or the client acknowledges. */
  #failed(turn: number, error: unknown): void {
    if (!(error instanceof BrokerError)) throw error;
    if (turn !== this.#turn) return;
    this.#busy = false;
    const { room, clientId } = this.#session;
    const { filter } = this.#subscription;
    room.log.warn('stored messages cannot be read', {
      client: clientId,
      filter,
      reason: error.message,
    });
  }

  /** @returns false when it has to wait */
  #send(message: Message): boolean {
    const session = this.#session;
    const topic = slashSpelling.show(message.address);
    const wanted = filterMatches(this.#wish.filter, topic);
    if (!wanted || message.expired(session.room.nowMs())) {
      this.#next = message.offset + 1;
      return true;
    }
    const outbound = session.outboundMade();
    if (!outbound.ready()) return false;
    this.#next = message.offset + 1;
    this.#open.add(message.offset);
    outbound.deliverFrom(this, this.#subscription, message, message.offset, false);
    return true;
  }

  #find(): void {
    const { from } = this.#wish;
    const { stream, index } = this.#partition;
    const saved = this.#session.room.broker.cursors.get(this.#group, stream.name, index);
    if (saved !== undefined) this.#begin(saved.offset);
    else if (from === 'earliest') this.#begin(this.#partition.startOffset);
    else if (from === 'latest') this.#begin(this.#partition.endOffset);
    else {
      const turn = this.#turn;
      this.#partition.findByTime(from).then(
        (found) => {
          if (turn === this.#turn) this.#begin(found?.offset ?? this.#partition.highWatermark);
        },
        (error: unknown) => this.#failed(turn, error),
      );
    }
  }

  #begin(offset: number): void {
    this.#next = offset;
    this.#save();
    this.wake();
  }

  /** The place of a session that outlives its connection: the first message not acknowledged. */
  #save(): void {
    const { durable, room } = this.#session;
    if (!durable || this.#ended) return;
    const [first] = this.#open;
    const offset = first ?? this.#next;
    if (offset === this.#saved) return;
    this.#saved = offset;
    const { stream, index } = this.#partition;
    const entry = { stream: stream.name, partition: index, offset, epoch: -1, metadata: '' };
    room.broker.cursors.commit(this.#group, [{ ...entry, timeMs: room.nowMs() }], () => {});
  }
}
