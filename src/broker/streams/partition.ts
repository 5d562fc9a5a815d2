/**
 * One partition of a stream: a log of record batches. Messages of one turn are packed into one
 * batch (`BatchBuilder`), which is sealed when the engine asks for it; batches of producers pass as
 * they are.
 */
import { BrokerError, ProtocolError } from '#kit';
import type { Appended, BatchFacts, LogStat, ShardLog, StoredBatch } from '#storage';
import { flatAddress } from '../addresses/address.ts';
import { stampAppendTime } from '../records/append-time.ts';
import { LOG_APPEND_TIME, TRANSACTIONAL } from '../records/batch-layout.ts';
import type { Message } from '../records/message.ts';
import { isControlBatch, readRecords } from '../records/record-batch.ts';
import { messagesOf } from './batch-messages.ts';
import { OpenBatch, tellSinks } from './open-batch.ts';
import type { AppendLedger, PartitionHost } from './partition-host.ts';
import type { PartitionTransactions } from './partition-transactions.ts';
import { isCompacted, type Stream } from './stream.ts';

/** Told about the fate of a published message. May be told before `publish` returns. */
export interface PublishSink {
  published(token: number, error: BrokerError | null): void;
}

/**
 * Something that reads along: told when committed messages can be read, or when they never will.
 */
export interface Follower {
  /**
   * A message was added that its publisher sent at most once; it is not committed yet. True: it was
   * taken, and will not be wanted again.
   */
  offered?(message: Message): boolean;
  /** Offsets below the partition's high watermark are committed now. */
  committed(partition: Partition): void;
  /** The append of these offsets failed: they do not exist. */
  failed(partition: Partition, fromOffset: number): void;
  /**
   * Asked only of those whose own log has another owner (`touch`), after `committed`: calls when
   * what they store about the messages below `endOffset` is on disk, or never will be.
   */
  stored?(partition: Partition, endOffset: number, done: (error: BrokerError | null) => void): void;
}

const NOBODY: readonly Follower[] = [];
const NO_MESSAGES: readonly Message[] = [];

/** Followers that hold references into one batch; mostly there are none. */
export class Touched {
  #followers: Set<Follower> | null = null;
  /** Those of them that store their references in a commit of their own. */
  #apart: Set<Follower> | null = null;

  get followers(): Iterable<Follower> {
    return this.#followers ?? NOBODY;
  }

  get anyApart(): boolean {
    return this.#apart !== null;
  }

  add(follower: Follower, apart: boolean): void {
    this.#followers ??= new Set();
    this.#followers.add(follower);
    if (!apart) return;
    this.#apart ??= new Set();
    this.#apart.add(follower);
  }

  /** Calls when the references of all are on disk as well. */
  whenStored(
    partition: Partition,
    endOffset: number,
    done: (error: BrokerError | null) => void,
  ): void {
    let remaining = this.#apart === null ? 0 : this.#apart.size;
    let failure: BrokerError | null = null;
    if (remaining === 0) done(null);
    for (const follower of this.#apart ?? NOBODY) {
      follower.stored!(partition, endOffset, (error) => {
        failure ??= error;
        remaining--;
        if (remaining === 0) done(failure);
      });
    }
  }
}

/** Opened batches beyond this are sealed early, so that no batch grows without bound. */
const BATCH_BYTES_MAX = 1 << 20;

/** Messages that follow each other, and where to read on. */
export interface Run {
  readonly messages: readonly Message[];
  readonly next: number;
}

export class Partition {
  readonly stream: Stream;
  readonly index: number;
  readonly log: ShardLog;
  /**
   * Its open transactions. While there are any, and until all behind them is delivered, nothing
   * that is stored here is delivered at once: `LateDeliveries` does it, in order.
   */
  transactions: PartitionTransactions | null = null;
  readonly #host: PartitionHost;
  readonly #ledger: AppendLedger;
  /** The address of the stream, once somebody publishes to it. */
  #homeText: string | null = null;
  #open: OpenBatch | null = null;
  #capacity = 0;
  #followers: Set<Follower> | null = null;
  /** Readers that wait for what is committed next. */
  #tails = 0;
  /** The last decoded batch: sequential readers of single messages ask for the same one again. */
  #decoded: { from: number; next: number; messages: readonly Message[] } | null = null;

  /** @param ledger told of each append */
  constructor(
    stream: Stream,
    index: number,
    log: ShardLog,
    host: PartitionHost,
    ledger: AppendLedger,
  ) {
    this.#ledger = ledger;
    this.stream = stream;
    this.index = index;
    this.log = log;
    this.#host = host;
  }

  get startOffset(): number {
    return this.log.startOffset;
  }

  get highWatermark(): number {
    return this.log.highWatermark;
  }

  /** What lies before it is committed, and belongs to no transaction that is still open. */
  get stableOffset(): number {
    const end = this.log.highWatermark;
    if (this.transactions === null) return end;
    return Math.min(end, Math.max(this.transactions.firstOpen, this.log.startOffset));
  }

  /** The offset that the next message gets. */
  get endOffset(): number {
    return this.log.endOffset + (this.#open === null ? 0 : this.#open.builder.count);
  }

  /**
   * Adds a message to the open batch and gives it its place.
   * @param routeKey key of the record when the message brings none; without one, the address is the
   *   key in a compacted stream
   * @param sink told after the commit, or when it failed
   */
  add(message: Message, routeKey: Buffer | null, sink: PublishSink | null, token: number): void {
    let open = this.#open;
    if (open === null) {
      open = new OpenBatch(message, this.#capacity);
      this.#open = open;
      this.#host.opened(this);
    }
    message.partition = this;
    message.offset = this.log.endOffset + open.builder.count;
    const before = open.builder.size;
    const { settings } = this.stream;
    if (settings.appendTime) message.timestampMs = message.appendTimeMs;
    if (routeKey === null && message.key === null && isCompacted(settings)) {
      routeKey = Buffer.from(message.address.text);
    }
    this.#homeText ??= flatAddress(this.stream.name).text;
    open.builder.add(message, this.#homeText, routeKey);
    if (this.#followers !== null) open.messages.push(message);
    if (sink !== null) {
      open.sinks.push(sink);
      open.tokens.push(token);
    }
    this.#host.grown(open.builder.size - before);
    if (sink !== null || this.#followers !== null || this.#tails > 0) this.#await(open);
    if (message.qos > 0 || this.#followers === null || this.transactions !== null) return;
    let wanted = false;
    for (const follower of this.#followers) {
      if (follower.offered?.(message) !== true) wanted = true;
    }
    // What nobody wants again need not be kept until the commit: a slow disk would hold many.
    const { messages } = open;
    if (!wanted && messages[messages.length - 1] === message) messages.pop();
  }

  /** True when the open batch should not grow any more: `seal` it once all is said about it. */
  get full(): boolean {
    return this.#open !== null && this.#open.builder.size >= BATCH_BYTES_MAX;
  }

  /**
   * The queue holds a reference to a message of the open batch: tell it of the batch's fate.
   * @param apart its references are committed apart from the batch: publishers wait for both
   */
  touch(follower: Follower, apart: boolean): void {
    const open = this.#open;
    if (open === null) return;
    if (open.lastTouched === follower && !apart) return;
    open.lastTouched = follower;
    this.#await(open);
    open.touched ??= new Touched();
    open.touched.add(follower, apart);
  }

  /** Publishers of the open batch wait for commits of other owners of slots as well. */
  get waitsForOthers(): boolean {
    return this.#open?.touched?.anyApart === true;
  }

  /** Hands the open batch to the log. Called before an entry is sealed; does nothing when empty. */
  seal(): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    const { builder, first } = open;
    // Shrinks slowly: a batch that outgrows its buffer is copied.
    this.#capacity = Math.min(
      Math.max(builder.size, Math.trunc(this.#capacity * 0.75)),
      BATCH_BYTES_MAX,
    );
    this.#host.grown(-builder.size);
    const facts: BatchFacts = {
      kind: 'data',
      count: builder.count,
      maxTimestampMs: builder.maxTimeMs,
      serverPacked: true,
      origin: first.origin,
      principal: first.principal.id,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      attributes: this.stream.settings.appendTime ? LOG_APPEND_TIME : 0,
    };
    const fromOffset = first.offset;
    const bytes = builder.finish();
    if (this.stream.settings.appendTime) stampAppendTime(bytes, builder.maxTimeMs);
    this.#ledger.appended(this, bytes.length);
    try {
      this.log.append(bytes, facts, (error) => this.#settled(open, fromOffset, error));
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#settled(open, fromOffset, error);
    }
  }

  /**
   * Appends a producer's own batch, unopened.
   * @param touched queues that will hold references into it; may be filled after the call
   * @throws BrokerError see `ShardLog.append`
   */
  appendBatch(
    bytes: Buffer,
    facts: BatchFacts,
    committed: (error: BrokerError | null) => void,
    touched: Touched,
  ): Appended {
    this.seal();
    if (this.stream.settings.appendTime) {
      const maxTimestampMs = this.#host.nowMs();
      stampAppendTime(bytes, maxTimestampMs);
      facts = { ...facts, maxTimestampMs, attributes: facts.attributes | LOG_APPEND_TIME };
    }
    const fromOffset = this.log.endOffset;
    this.#ledger.appended(this, bytes.length);
    return this.log.append(bytes, facts, (error) => {
      this.#tellFollowers(error, fromOffset, touched);
      if (error !== null) committed(error);
      else touched.whenStored(this, fromOffset + facts.count, committed);
    });
  }

  /** Stored batches as they are. See `ShardLog.read`. */
  readBatches(offset: number, bytesMax: number): StoredBatch[] | Promise<StoredBatch[]> {
    return this.log.read(offset, bytesMax);
  }

  /** Stable messages from `offset` on; empty at `stableOffset`. See `readRun`. */
  readMessages(offset: number, bytesMax: number): readonly Message[] | Promise<readonly Message[]> {
    const run = this.readRun(offset, bytesMax);
    return run instanceof Promise ? run.then((read) => read.messages) : run.messages;
  }

  /**
   * Stable messages from `offset` on, as other protocols see them, and the offset to go on from:
   * the same one at `stableOffset`. Control batches, records of aborted transactions and those that
   * cannot be read are gaps. Direct when it lies in memory.
   * @param unstable what transactions have not committed is read as well
   * @throws (or rejects with) BrokerError as `ShardLog.read`
   */
  readRun(offset: number, bytesMax: number, unstable = false): Run | Promise<Run> {
    if (!unstable && this.transactions !== null && offset >= this.transactions.firstOpen) {
      return { messages: NO_MESSAGES, next: offset };
    }
    const recent = unstable ? null : this.#decoded;
    if (recent !== null && offset >= recent.from && offset < recent.next) {
      const messages = recent.messages;
      const whole = messages.length > 0 && messages[0]!.offset >= offset;
      return {
        messages: whole ? messages : messages.filter((message) => message.offset >= offset),
        next: recent.next,
      };
    }
    const batches = this.log.read(offset, bytesMax);
    if (Array.isArray(batches)) return this.#decodeAll(batches, offset, unstable);
    return batches.then((read) => this.#decodeAll(read, offset, unstable));
  }

  /** Lets go of decoded messages; they are read again when they are wanted. */
  forget(): void {
    this.#decoded = null;
  }

  /** True when no reader of another protocol sees the batch: control, or aborted. */
  isAside({ attributes, producerId, baseOffset }: StoredBatch): boolean {
    if (isControlBatch(attributes)) return true;
    if ((attributes & TRANSACTIONAL) === 0) return false;
    return this.#host.aborted(this, producerId, baseOffset);
  }

  /** A transaction has ended: followers may see more. */
  stabilised(): void {
    this.#tellFollowers(null, this.startOffset, null);
  }

  /**
   * The messages of one batch of this partition. Empty when they cannot be read (said in the log).
   */
  decode(batch: StoredBatch, unstable = false): Message[] {
    if (unstable ? isControlBatch(batch.attributes) : this.isAside(batch)) return [];
    try {
      return messagesOf(batch, this, this.#host);
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof BrokerError)) throw error;
      this.#host.unreadable(this, batch.baseOffset, error.message);
      return [];
    }
  }

  /** First record with a time >= `timestampMs`, or null. */
  async findByTime(timestampMs: number): Promise<{ offset: number; timestampMs: number } | null> {
    const batch = await this.log.findByTime(timestampMs);
    if (batch === null) return null;
    for (const message of readTimes(batch, this.#host.openedBytesMax)) {
      if (message.timeMs >= timestampMs && message.offset >= this.startOffset) {
        return { offset: message.offset, timestampMs: message.timeMs };
      }
    }
    return { offset: batch.baseOffset, timestampMs: batch.maxTimestampMs };
  }

  /** See `ShardLog.tail`. What is open is committed at once while somebody listens. */
  tail(listener: (partition: Partition) => void): () => void {
    this.#tails++;
    if (this.#open !== null) this.#await(this.#open);
    const end = this.log.tail(() => listener(this));
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#tails--;
      end();
    };
  }

  trim(offset: number): void {
    this.log.trim(offset);
  }

  stat(): LogStat {
    return this.log.stat();
  }

  follow(follower: Follower): void {
    if (this.#open !== null) this.#await(this.#open);
    this.#followers ??= new Set();
    this.#followers.add(follower);
  }

  unfollow(follower: Follower): void {
    this.#followers?.delete(follower);
    if (this.#followers?.size === 0) this.#followers = null;
  }

  #await(open: OpenBatch): void {
    if (open.awaited) return;
    open.awaited = true;
    this.#host.awaited();
  }

  #settled(open: OpenBatch, fromOffset: number, error: BrokerError | null): void {
    const endOffset = fromOffset + open.builder.count;
    // Those before the first were taken when they came. Where some behind it are missing, because
    // followers came and went, the batch is read from the log.
    const { messages } = open;
    const from = messages.length === 0 ? endOffset : messages[0]!.offset;
    const whole = messages.length > 0 && messages.length === endOffset - from;
    if (error === null && whole && this.#followers !== null) {
      this.#keep(from, endOffset, messages);
    }
    this.#tellFollowers(error, fromOffset, open.touched);
    if (open.sinks.length === 0) return;
    if (error !== null || open.touched === null) tellSinks(open, error);
    else {
      open.touched.whenStored(this, endOffset, (failure) => tellSinks(open, failure));
    }
  }

  #tellFollowers(error: BrokerError | null, fromOffset: number, touched: Touched | null): void {
    if (this.#followers !== null) {
      for (const follower of [...this.#followers]) this.#tell(follower, error, fromOffset);
    }
    if (touched === null) return;
    for (const follower of touched.followers) {
      if (this.#followers?.has(follower) !== true) this.#tell(follower, error, fromOffset);
    }
  }

  #tell(follower: Follower, error: BrokerError | null, fromOffset: number): void {
    if (error === null) follower.committed(this);
    else follower.failed(this, fromOffset);
  }

  #keep(from: number, next: number, messages: readonly Message[]): void {
    if (this.#decoded === null) this.#host.keeps(this);
    this.#decoded = { from, next, messages };
  }

  #decodeAll(batches: readonly StoredBatch[], offset: number, unstable: boolean): Run {
    const messages: Message[] = [];
    let next = offset;
    const firstOpen = this.transactions?.firstOpen ?? Number.POSITIVE_INFINITY;
    const before = unstable ? Number.POSITIVE_INFINITY : firstOpen;
    for (const batch of batches) {
      if (batch.baseOffset >= before) break;
      const decoded = this.decode(batch, unstable);
      next = batch.baseOffset + batch.count;
      // Other readers must not find what only this one may see.
      if (!unstable) this.#keep(batch.baseOffset, next, decoded);
      for (const message of decoded) if (message.offset >= offset) messages.push(message);
    }
    return { messages, next };
  }
}

function readTimes(batch: StoredBatch, bytesMax: number): { offset: number; timeMs: number }[] {
  try {
    return readRecords(batch.bytes, batch.baseOffset, bytesMax);
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof BrokerError) return [];
    throw error;
  }
}
