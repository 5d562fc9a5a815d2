/** Members of the classic protocol: all stop, all join again, one of them says who reads what. */

import { ByteWriter } from './bytes.ts';
import { Client, request } from './kafka-client.ts';
import { isNotYet, type Member, type Settling } from './kafka-group.ts';

const JOIN = 11;
const JOIN_VERSION = 5;
const HEARTBEAT = 12;
const HEARTBEAT_VERSION = 3;
const LEAVE = 13;
const LEAVE_VERSION = 2;
const SYNC = 14;
const SYNC_VERSION = 3;
const SESSION_MS = 45_000;
const REBALANCE_MS = 60_000;
const NONE = -1;
/** Error codes after which a member joins again. */
const ILLEGAL_GENERATION = 22;
const REBALANCE = 27;
const MEMBER_ID_REQUIRED = 79;
/** Correlation and throttle time of an answer before its error code, then that code. */
const ERROR_AT = 4 + 4 + 4;

export class ClassicGroup implements Settling {
  readonly name: string;
  readonly topic: string;
  expected = 0;
  onChange: (() => void) | undefined;
  #generation = NONE;
  #synced = 0;

  constructor(name: string, topic: string) {
    this.name = name;
    this.topic = topic;
  }

  get isSettled(): boolean {
    return this.#synced === this.expected;
  }

  /** The leader of a generation was told how many members it has. */
  begins(generation: number, members: number): void {
    this.#generation = members === this.expected ? generation : NONE;
    this.#synced = 0;
  }

  synced(generation: number): void {
    if (generation !== this.#generation) return;
    this.#synced++;
    this.onChange?.();
  }
}

type State = 'out' | 'joining' | 'syncing' | 'stable' | 'beating' | 'left';

export class ClassicMember implements Member {
  readonly #group: ClassicGroup;
  readonly #client: Client;
  #state: State = 'out';
  #id = '';
  #generation = NONE;

  private constructor(group: ClassicGroup, client: Client) {
    this.#group = group;
    this.#client = client;
    client.onAnswer = (bytes, start) => this.#answer(bytes, start + ERROR_AT);
  }

  static async open(port: number, group: ClassicGroup, readBytes: number): Promise<ClassicMember> {
    return new ClassicMember(group, await Client.open(port, readBytes));
  }

  beat(): void {
    if (this.#state === 'out') this.#join();
    if (this.#state !== 'stable') return;
    this.#state = 'beating';
    const body = this.#head().raw(NO_INSTANCE);
    this.#client.wire.send(request(HEARTBEAT, HEARTBEAT_VERSION, body.done()));
  }

  leave(): void {
    this.#state = 'left';
    const body = new ByteWriter().text16(this.#group.name).text16(this.#id);
    this.#client.wire.send(request(LEAVE, LEAVE_VERSION, body.done()));
  }

  close(): Promise<void> {
    return this.#client.wire.close();
  }

  #head(): ByteWriter {
    return new ByteWriter().text16(this.#group.name).i32(this.#generation).text16(this.#id);
  }

  #join(): void {
    this.#state = 'joining';
    const { name, topic } = this.#group;
    const metadata = new ByteWriter().i16(0).i32(1).text16(topic).i32(-1).done();
    const body = new ByteWriter().text16(name).i32(SESSION_MS).i32(REBALANCE_MS).text16(this.#id);
    body.raw(NO_INSTANCE).text16('consumer').i32(1).text16('range');
    body.i32(metadata.length).raw(metadata);
    this.#client.wire.send(request(JOIN, JOIN_VERSION, body.done()));
  }

  #answer(bytes: Buffer, at: number): void {
    const error = bytes.readInt16BE(at);
    if (this.#state === 'left') return;
    if (error === MEMBER_ID_REQUIRED) this.#id = joined(bytes, at).id;
    if (error === MEMBER_ID_REQUIRED || error === REBALANCE || error === ILLEGAL_GENERATION) {
      this.#join();
    } else if (isNotYet(error)) {
      this.#state = 'out';
    } else if (error !== 0) {
      throw new Error(`a member that is ${this.#state} was answered error ${error}`);
    } else if (this.#state === 'joining') {
      this.#sync(joined(bytes, at));
    } else {
      const synced = this.#state === 'syncing';
      this.#state = 'stable';
      if (synced) this.#group.synced(this.#generation);
    }
  }

  #sync({ generation, leader, id, members }: Joined): void {
    this.#state = 'syncing';
    this.#id = id;
    this.#generation = generation;
    const leads = leader === id;
    if (leads) this.#group.begins(generation, members.length);
    const body = this.#head().raw(NO_INSTANCE);
    body.i32(leads ? members.length : 0);
    for (const [n, member] of leads ? members.entries() : []) {
      const part = new ByteWriter().i16(0).i32(1).text16(this.#group.topic).i32(1).i32(n).i32(-1);
      const bytes = part.done();
      body.text16(member).i32(bytes.length).raw(bytes);
    }
    this.#client.wire.send(request(SYNC, SYNC_VERSION, body.done()));
  }
}

/** The null that stands for a member without an instance id. */
const NO_INSTANCE = new ByteWriter().i16(-1).done();

interface Joined {
  readonly generation: number;
  readonly leader: string;
  readonly id: string;
  readonly members: readonly string[];
}

/** A JoinGroup answer from its error code on. */
function joined(bytes: Buffer, errorAt: number): Joined {
  let at = errorAt + 2 + 4;
  const text = (): string => {
    const length = Math.max(0, bytes.readInt16BE(at));
    at += 2 + length;
    return bytes.toString('latin1', at - length, at);
  };
  text();
  const [leader, id] = [text(), text()];
  const count = bytes.readInt32BE(at);
  at += 4;
  const members = Array.from({ length: count }, () => {
    const member = text();
    text();
    at += 4 + bytes.readInt32BE(at);
    return member;
  });
  return { generation: bytes.readInt32BE(errorAt + 2), leader, id, members };
}
