/**
 * Traces: what one client, topic or address does, as lines of text that an administrator downloads
 * (M186). A trace ends at its time or when its text is full. While none runs nothing is written.
 */
import { type Json, type Message, slashSpelling } from '#broker';
import type { Action, ActionCall } from '#contract';
import { BrokerError, type Timer } from '#kit';
import { reasonSentence } from '../codec/index.ts';
import type { Link } from '../connection.ts';
import type { Room } from '../room.ts';
import type { Session } from '../session.ts';
import type { SessionSubscription } from '../subscription.ts';
import { filterMatches } from '../topics.ts';
import type { Feature } from './feature.ts';
import { integerField, oneOf, onlyFields, textField } from './fields.ts';
import { type DropReason, MessageWatch, type SessionWatch } from './hooks.ts';

const KINDS = ['clientid', 'topic', 'ip'] as const;
const DURATION_SEC = 600;
const DURATION_SEC_MAX = 86_400;
/** Bytes of a payload that are shown. */
const PAYLOAD_SHOWN_MAX = 256;

class Trace {
  readonly name: string;
  readonly kind: (typeof KINDS)[number];
  readonly value: string;
  readonly startedMs: number;
  readonly endsMs: number;
  readonly #bytesMax: number;
  timer: Timer | null = null;
  /** Why it ended; '' while it runs. */
  end = '';
  bytes = 0;
  lines: string[] = [];

  constructor(
    name: string,
    kind: (typeof KINDS)[number],
    value: string,
    times: readonly [startedMs: number, endsMs: number],
    bytesMax: number,
  ) {
    this.name = name;
    this.kind = kind;
    this.value = value;
    [this.startedMs, this.endsMs] = times;
    this.#bytesMax = bytesMax;
  }

  get running(): boolean {
    return this.end === '';
  }

  concerns(session: Session | null, link: Link | null, topic: string | null): boolean {
    if (!this.running) return false;
    if (this.kind === 'clientid') return session?.clientId === this.value;
    if (this.kind === 'topic') return topic !== null && filterMatches(this.value, topic);
    return link?.connection.peer.address === this.value;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.bytes + bytes > this.#bytesMax) this.stop('full');
    else {
      this.bytes += bytes;
      this.lines.push(line);
    }
  }

  stop(why: string): void {
    if (this.running) this.end = why;
    this.timer?.cancel();
    this.timer = null;
  }

  row(): Record<string, Json> {
    return {
      name: this.name,
      type: this.kind,
      value: this.value,
      state: this.running ? 'running' : this.end,
      started: new Date(this.startedMs).toISOString(),
      ends: new Date(this.endsMs).toISOString(),
      lines: this.lines.length,
      bytes: this.bytes,
    };
  }
}

export class Traces extends MessageWatch implements Feature, SessionWatch {
  readonly #room: Room;
  readonly #traces = new Map<string, Trace>();
  readonly actions: readonly Action[];

  constructor(room: Room) {
    super();
    this.#room = room;
    room.hooks.watchSessions(this);
    this.actions = this.#actions();
  }

  connected(link: Link): void {
    const { connection, version, keepAliveSec, session } = link;
    const from = `${connection.peer.address}:${connection.peer.port} ${connection.listener}`;
    this.#write(session, link, null, () => `CONNECTED ${from} v${version} ka=${keepAliveSec}`);
  }

  disconnected(session: Session, link: Link, reason: number): void {
    const why = reason < 0 ? 'connection lost' : reasonSentence(reason);
    this.#write(session, link, null, () => `DISCONNECTED ${why}`);
  }

  subscribed(session: Session, { filter, qos }: SessionSubscription): void {
    this.#write(session, session.link, filter, () => `SUBSCRIBE ${filter} qos=${qos}`);
  }

  unsubscribed(session: Session, filter: string): void {
    this.#write(session, session.link, filter, () => `UNSUBSCRIBE ${filter}`);
  }

  override received(link: Link, message: Message): void {
    const topic = slashSpelling.show(message.address);
    this.#write(link.session, link, topic, () => `PUBLISH IN ${textOf(message, topic)}`);
  }

  override sent(session: Session, message: Message, topic: string, qos: number, id: number): void {
    const text = (): string => `PUBLISH OUT ${textOf(message, topic)} granted=${qos} id=${id}`;
    this.#write(session, session.link, topic, text);
  }

  override acked(session: Session, packetId: number): void {
    this.#write(session, session.link, null, () => `ACKNOWLEDGED id=${packetId}`);
  }

  override dropped(session: Session, message: Message, topic: string, reason: DropReason): void {
    const text = (): string => `DROPPED ${reason} ${textOf(message, topic)}`;
    this.#write(session, session.link, topic, text);
  }

  close(): void {
    for (const trace of this.#traces.values()) trace.stop('stopped');
  }

  #write(
    session: Session | null,
    link: Link | null,
    topic: string | null,
    text: () => string,
  ): void {
    for (const trace of this.#traces.values()) {
      if (!trace.concerns(session, link, topic)) continue;
      const at = new Date(this.#room.nowMs()).toISOString();
      trace.write(`${at} ${JSON.stringify(session?.clientId ?? '')} ${text()}`);
      if (!trace.running) this.#changed();
    }
  }

  #changed(): void {
    const running = [...this.#traces.values()].some((trace) => trace.running);
    this.#room.hooks.watchMessages(this, running);
  }

  #start({ params, body }: ActionCall): Trace {
    onlyFields(body, ['type', 'value', 'seconds']);
    const name = params['name']!;
    const { tracesMax, traceBytesMax } = this.#room.options;
    if (this.#traces.has(name)) {
      throw new BrokerError('precondition-failed', `there is a trace '${name}'.`);
    }
    if (this.#traces.size >= tracesMax) {
      throw new BrokerError('limit-reached', `${tracesMax} traces; delete one.`);
    }
    const kind = oneOf(body, 'type', KINDS);
    const value = textField(body, 'value');
    const seconds = integerField(body, 'seconds', [1, DURATION_SEC_MAX], DURATION_SEC);
    const nowMs = this.#room.nowMs();
    const times = [nowMs, nowMs + seconds * 1000] as const;
    const trace = new Trace(name, kind, value, times, traceBytesMax);
    this.#traces.set(name, trace);
    trace.timer = this.#room.timers.after(seconds * 1000, () => this.#stop(trace, 'done'));
    this.#changed();
    return trace;
  }

  #stop(trace: Trace, why: string): void {
    trace.stop(why);
    this.#changed();
  }

  #find({ params }: ActionCall): Trace {
    const trace = this.#traces.get(params['name']!);
    if (trace !== undefined) return trace;
    throw new BrokerError('precondition-failed', `there is no trace '${params['name']}'.`);
  }

  #actions(): readonly Action[] {
    return [
      {
        method: 'GET',
        path: 'traces',
        summary: 'Lists the traces of MQTT clients, topics and addresses.',
        run: () => ({ rows: [...this.#traces.values()].map((trace) => trace.row()) }),
      },
      {
        method: 'POST',
        path: 'traces/:name',
        summary: 'Starts a trace of a client id, a topic filter or an IP address.',
        run: (call) => ({ value: this.#start(call).row() }),
      },
      {
        method: 'POST',
        path: 'traces/:name/stop',
        summary: 'Ends a trace; its text stays.',
        run: (call) => {
          const trace = this.#find(call);
          this.#stop(trace, 'stopped');
          return { value: trace.row() };
        },
      },
      {
        method: 'GET',
        path: 'traces/:name',
        summary: 'Downloads the text of a trace.',
        run: (call) => ({
          text: this.#find(call)
            .lines.map((line) => `${line}\n`)
            .join(''),
        }),
      },
      {
        method: 'DELETE',
        path: 'traces/:name',
        summary: 'Ends a trace and forgets its text.',
        run: (call) => {
          const trace = this.#find(call);
          this.#traces.delete(trace.name);
          this.#stop(trace, 'stopped');
          return null;
        },
      },
    ];
  }
}

function textOf({ value, qos, retain }: Message, topic: string): string {
  const bytes = value ?? Buffer.alloc(0);
  const shown = JSON.stringify(bytes.toString('utf8', 0, PAYLOAD_SHOWN_MAX));
  return `${JSON.stringify(topic)} qos=${qos} retain=${retain} bytes=${bytes.length} ${shown}`;
}
