/**
 * Whole protocols behind a connection without a network: a client that says anything, in any
 * chunks, reads or does not, and leaves as it likes. Nothing may throw, what belonged to the
 * connection must go with it, and a decent client is served afterwards.
 */
import assert from 'node:assert/strict';
import type { Instance, Protocol } from '#contract';
import { defaults, type Log } from '#kit';
import { protocols } from '#protocols';
import { connectMemory } from '../../contract/memory-connection.ts';
import { openTestHost, type TestHost } from '../../contract/test-host.ts';
import { chunksOf, type Target } from '../target.ts';
import { amqpFrames } from './amqp-frames.ts';
import { goldenBytes, goldenFrames, goldenHex, pieces } from './golden.ts';
import { kafkaRequests } from './kafka-requests.ts';
import { mqttPackets } from './mqtt-packets.ts';
import { natsFrames } from './nats-frames.ts';

/** Sessions on one server; what they left there is met by the next ones. */
const SESSIONS_PER_SERVER = 150;
const SEED_BYTES = 4000;
/** Turns of the event loop in which what was sent is worked on and committed. */
const TURNS = 6;
const ALLOCATION = { base: 128 << 20, perByte: 64 << 10 };
const HOLD = 1;
const BYTES_APART = 2;
const RESET = 4;

interface Opened {
  readonly host: TestHost;
  readonly instance: Instance;
}

class SessionTarget implements Target {
  readonly name: string;
  readonly words: readonly Buffer[];
  readonly allocation = ALLOCATION;
  readonly cost = 20;
  readonly cpuMsMax = 500;
  readonly #protocol: Protocol;
  readonly #listener: string;
  readonly #opening: Buffer;
  readonly #seeds: readonly Buffer[];
  #opened: Promise<Opened> | null = null;
  #sessions = 0;
  /** Faults of ours that a room caught itself: it says so in the log and ends the connection. */
  #faults: string[] = [];

  constructor(name: string, opening: Buffer, seeds: readonly Buffer[], words: readonly Buffer[]) {
    const protocol = protocols.find((each) => each.name === name)!;
    const plans = protocol.listeners(defaults(protocol.options));
    this.name = `${name}-sessions`;
    this.words = words;
    this.#protocol = protocol;
    this.#listener = plans.find((plan) => plan.transport === 'tcp')!.name;
    this.#opening = opening;
    this.#seeds = seeds;
  }

  *seeds(): Iterable<Buffer> {
    for (const bytes of this.#seeds) yield Buffer.concat([Buffer.of(0), bytes]);
    yield Buffer.concat([Buffer.of(HOLD), this.#seeds[0]!]);
  }

  async run(input: Buffer): Promise<void> {
    if (++this.#sessions % SESSIONS_PER_SERVER === 0) await this.close();
    this.#opened ??= this.#open();
    const { instance } = await this.#opened;
    const flags = input[0] ?? 0;
    const bytes = input.subarray(1);
    const client = connectMemory(instance, { listener: this.#listener });
    if ((flags & HOLD) !== 0) client.hold();
    const chunks = (flags & BYTES_APART) !== 0 ? chunksOf(bytes, 1) : [bytes];
    for (const chunk of chunks) client.send(chunk);
    await turns(TURNS);
    if ((flags & HOLD) !== 0) client.release();
    client.close((flags & RESET) !== 0 ? new Error('read ECONNRESET') : null);
    await client.closed;
    await turns(1);
    await this.#probe(instance);
    const faults = this.#faults.splice(0);
    if (faults.length > 0) throw new Error(faults[0]);
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    if (opened === null) return;
    const { instance, host } = await opened;
    await instance.close();
    await host.close();
  }

  async #open(): Promise<Opened> {
    const error = (message: string, fields?: object): void => {
      this.#faults.push(`${message} ${JSON.stringify(fields)}`);
    };
    const nothing = (): void => {};
    const log: Log = { debug: nothing, info: nothing, warn: nothing, error, with: () => log };
    const host = await openTestHost({ log });
    const instance = this.#protocol.open(host, defaults(this.#protocol.options));
    return { host, instance };
  }

  /** Nothing of the session is left, and the next one is answered. */
  async #probe(instance: Instance): Promise<void> {
    for (const { noun } of this.#protocol.resources ?? []) {
      const rows = [...(instance.list?.(noun) ?? [])];
      if (noun === 'connections') assert.deepEqual(rows, [], 'no connection is left');
    }
    if (this.#sessions % 16 !== 0) return;
    const decent = connectMemory(instance, { listener: this.#listener });
    decent.send(this.#opening);
    await decent.read(1);
    decent.close();
    await decent.closed;
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const size = (bytes: Buffer): Buffer => {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(bytes.length);
  return Buffer.concat([prefix, bytes]);
};

/** Kafka's requests in one stream, a dozen at a time. */
function kafkaSeeds(): Buffer[] {
  const frames = goldenFrames()
    .filter(({ request }) => request.length < SEED_BYTES)
    .map(({ request }) => size(Buffer.from(request, 'hex')));
  const seeds: Buffer[] = [];
  for (let at = 0; at < frames.length; at += 12)
    seeds.push(Buffer.concat(frames.slice(at, at + 12)));
  return seeds;
}

const cut = (inputs: readonly Buffer[]): Buffer[] => [...pieces(inputs, SEED_BYTES)];

export const sessions: readonly Target[] = [
  new SessionTarget(
    'mqtt',
    Buffer.from('100f00044d5154540402003c0003746f79', 'hex'),
    cut(goldenHex('mqtt')),
    mqttPackets.words,
  ),
  new SessionTarget(
    'kafka',
    Buffer.from('0000000d00120000000000010003746f79', 'hex'),
    cut(kafkaSeeds()),
    kafkaRequests.words,
  ),
  new SessionTarget(
    'nats',
    Buffer.from('CONNECT {"verbose":true}\r\nPING\r\n'),
    cut([
      ...goldenBytes('nats', 'client'),
      Buffer.from('CONNECT {"verbose":false,"headers":true}\r\nSUB a.* 1\r\nPUB a.b 2\r\nhi\r\n'),
    ]),
    natsFrames.words,
  ),
  new SessionTarget(
    'amqp',
    Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'),
    cut(goldenBytes('amqp', 'session')),
    amqpFrames.words,
  ),
];
