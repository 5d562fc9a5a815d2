/**
 * The streams of a connection beside its first one, and which message goes where: on the stream on
 * which its subscription was made, else on the first one.
 */
import type { SideStream } from '#contract';
import { REASON } from './codec/index.ts';
import type { Link } from './connection.ts';
import { Lane } from './lane.ts';
import type { Output } from './output.ts';
import { filterMatches, plainFilter } from './topics.ts';

/** Topics whose stream is remembered. */
const TOPICS_MAX = 1024;
/** What one stream may hold back of what the whole connection may. */
const SHARE = 8;

export class Lanes {
  readonly #link: Link;
  readonly #lanes = new Set<Lane>();
  /** The filters that were subscribed to on a lane, in their whole form. */
  readonly #byFilter = new Map<string, Lane>();
  readonly #byTopic = new Map<string, Lane | null>();
  /** Of messages that were sent on a lane and are not done with. */
  readonly #byPacketId = new Map<number, Lane>();

  constructor(link: Link) {
    this.#link = link;
  }

  add(stream: SideStream): void {
    this.#lanes.add(new Lane(this.#link, this, stream));
  }

  /** Bytes that one stream may hold back before nothing more is put on it. */
  get sendBytesMax(): number {
    return this.#link.options.sendBytesMax / SHARE;
  }

  /** The streams together do not hold back so much that messages of QoS 1 and 2 have to wait. */
  get hasRoom(): boolean {
    let held = 0;
    for (const { output } of this.#lanes) if (output.full) held += output.pendingBytes;
    return held < this.#link.options.sendBytesMax;
  }

  /** The stream of a topic takes a message that may be lost: others do not matter to that. */
  takes(topic: string): boolean {
    const lane = this.of(topic);
    if (lane === null) return !this.#link.isFull;
    const { output } = lane;
    return !output.full || (output.pendingBytes < this.sendBytesMax && this.hasRoom);
  }

  /** Messages of the client that are not acknowledged, on all lanes. */
  get unanswered(): number {
    let all = 0;
    for (const { inbound } of this.#lanes) all += inbound?.open ?? 0;
    return all;
  }

  /**
   * Packets that have come in part are held in memory. One on each stream could be too much: all
   * together they may be as large as two packets.
   */
  checkUnfinished(): void {
    const { packetBytesMax } = this.#link.options;
    let held = 0;
    for (const { framer } of this.#lanes) held += framer.waiting;
    if (held <= 2 * packetBytesMax || this.#link.stalled) return;
    this.#link.leave(REASON.quotaExceeded, 'too many unfinished packets on its streams');
  }

  readOn(): void {
    for (const lane of [...this.#lanes]) {
      lane.readOn();
      if (lane.hasEnded) this.settle(lane);
    }
  }

  // ---- which stream ---------------------------------------------------------------------------

  /** A subscription was made on a lane, or null: on the first stream. */
  bind(filter: string, lane: Lane | null): void {
    const plain = plainFilter(filter) ?? filter;
    if (lane === null) this.#byFilter.delete(plain);
    else this.#byFilter.set(plain, lane);
    this.#byTopic.clear();
  }

  /** The lane of a whole topic; null for the first stream. */
  of(topic: string): Lane | null {
    if (this.#byFilter.size === 0) return null;
    let lane = this.#byTopic.get(topic);
    if (lane !== undefined) return lane;
    lane = null;
    for (const [filter, each] of this.#byFilter) if (filterMatches(filter, topic)) lane = each;
    if (this.#byTopic.size >= TOPICS_MAX) this.#byTopic.clear();
    this.#byTopic.set(topic, lane);
    return lane;
  }

  sent(packetId: number, lane: Lane): void {
    lane.flights++;
    this.#byPacketId.set(packetId, lane);
  }

  /** Where the rest of a message's handshake goes. */
  outputOf(packetId: number): Output | null {
    return this.#byPacketId.get(packetId)?.output ?? null;
  }

  /** A message to the client is done with. */
  finished(packetId: number): void {
    const lane = this.#byPacketId.get(packetId);
    if (lane === undefined) return;
    this.#byPacketId.delete(packetId);
    lane.flights--;
    if (lane.hasEnded) this.settle(lane);
  }

  forgetRoutes(): void {
    for (const { routes } of this.#lanes) routes?.forget();
  }

  // ---- their end ------------------------------------------------------------------------------

  /** The client has ended a stream: it goes when everything on it is done with. */
  settle(lane: Lane): void {
    // While its packets wait, or are being handled, there is more of it.
    if (!this.#lanes.has(lane) || this.#link.stalled || this.#link.lane === lane) return;
    if (lane.framer.waiting > 0) {
      this.#link.leave(REASON.malformedPacket, 'a stream ends inside of a packet');
      return;
    }
    this.#unbind(lane);
    if (!lane.isIdle) return;
    this.#lanes.delete(lane);
    lane.finish();
  }

  /** An acknowledgement was given on a lane. */
  answered(): void {
    for (const lane of this.#lanes) if (lane.hasEnded) this.settle(lane);
  }

  /**
   * A stream broke. What is not acknowledged on it may be lost in either direction, and is sent
   * again when the client comes back with its session: so the connection ends. Else it goes on.
   */
  lost(lane: Lane, error: Error): void {
    if (!this.#lanes.delete(lane)) return;
    this.#unbind(lane);
    lane.output.discard();
    if (lane.isIdle) return;
    const what = 'a stream broke with messages that are not acknowledged';
    this.#link.leave(REASON.unspecifiedError, `${what}: ${error.message}`);
  }

  /** Writes what they hold, before the connection ends. */
  flush(): void {
    for (const { output } of this.#lanes) output.flush();
  }

  close(): void {
    for (const { output, framer } of this.#lanes) {
      output.discard();
      framer.clear();
    }
    this.#lanes.clear();
    this.#byFilter.clear();
    this.#byTopic.clear();
    this.#byPacketId.clear();
  }

  #unbind(lane: Lane): void {
    for (const [filter, each] of this.#byFilter) if (each === lane) this.#byFilter.delete(filter);
    this.#byTopic.clear();
  }
}
