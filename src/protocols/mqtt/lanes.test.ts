import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { SideStream, SideStreamHandler } from '#contract';
import { Bench, decodeAll, publishBytes, type Shown, type TestClient } from './client.fixture.ts';
import { encodeSubscribe, NO_PROPERTIES, PINGREQ } from './codec/index.ts';
import type { Link } from './connection.ts';

const SEND_MARK = 1024;

/** A stream beside the first one, with the client's end of it. */
class MemoryStream implements SideStream {
  handler: SideStreamHandler | null = null;
  readonly sent: Buffer[] = [];
  paused = false;
  isEnded = false;
  /** The client takes nothing. */
  stuck = false;
  #held = 0;

  handle(handler: SideStreamHandler): void {
    this.handler = handler;
  }

  get pendingBytes(): number {
    return this.#held;
  }

  write(chunk: Uint8Array): boolean {
    this.sent.push(Buffer.from(chunk));
    if (this.stuck) this.#held += chunk.length;
    return this.#held < SEND_MARK;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.isEnded = true;
  }

  /** The client reads again. */
  release(): void {
    this.stuck = false;
    this.#held = 0;
    this.handler!.drain();
  }

  publish(topic: string, packetId = 0, more: { payload?: string; topicAlias?: number } = {}): void {
    const properties = more.topicAlias === undefined ? {} : { topicAlias: more.topicAlias };
    const message = { topic, packetId, payload: more.payload ?? '', properties };
    this.handler!.data(publishBytes({ ...message, qos: packetId === 0 ? 0 : 1 }, 5));
  }

  subscribe(filter: string, qos: 0 | 1 | 2 = 0): void {
    const rest = { noLocal: false, retainAsPublished: false, retainHandling: 0 as const };
    const packet = { packetId: 9, properties: NO_PROPERTIES, filters: [{ filter, qos, ...rest }] };
    this.handler!.data(encodeSubscribe(packet, 5));
  }

  take(): Shown[] {
    return decodeAll(this.sent.splice(0), 5);
  }
}

describe('streams beside the first one', () => {
  let bench: Bench;
  let client: TestClient;
  let link: Link;
  let publisher: TestClient;
  let round = 0;

  before(async () => {
    bench = await Bench.open({ sendBytesMax: 64 << 10, packetBytesMax: 64 << 10 });
  });
  beforeEach(async () => {
    round++;
    client = await bench.connect(`many-${round}`, { properties: { topicAliasMaximum: 8 } });
    link = bench.room.sessions.get(`many-${round}`)!.link!;
    publisher = await bench.connect(`publisher-${round}`);
  });
  after(() => bench.close());

  function open(): MemoryStream {
    const stream = new MemoryStream();
    link.stream(stream);
    return stream;
  }
  const quiet = (): Promise<Shown[]> => client.quiet();
  const topics = (packets: readonly Shown[]): string[] =>
    packets.map(({ type, topic }) => topic ?? type);

  test('acknowledge there, and bring what was subscribed to there M157', async () => {
    const [one, two] = [open(), open()];
    one.subscribe('a/+', 1);
    two.subscribe('b/#', 1);
    await client.subscribed('c', { qos: 1 });
    one.publish('x', 5);
    for (const [packetId, topic] of ['a/1', 'b/1', 'c', 'a/2'].entries()) {
      publisher.publish({ topic, qos: 1, packetId: packetId + 1 });
    }
    assert.deepEqual(topics(await quiet()), ['c']);
    assert.deepEqual(topics(one.take()).sort(), ['PUBACK', 'SUBACK', 'a/1', 'a/2']);
    assert.deepEqual(topics(two.take()), ['SUBACK', 'b/1']);
    await client.subscribed('b/#', { qos: 1 });
    publisher.publish({ topic: 'b/2', qos: 1, packetId: 7 });
    assert.deepEqual(topics(await quiet()), ['b/2']);
    assert.deepEqual(two.take(), []);
  });

  test('a topic alias belongs to its stream, and none is given on them M157', async () => {
    const [one, two] = [open(), open()];
    await publisher.subscribed('alias/#');
    one.publish('alias/one', 0, { topicAlias: 1 });
    two.publish('alias/two', 0, { topicAlias: 1 });
    one.publish('', 0, { topicAlias: 1, payload: 'again' });
    const came = (await publisher.quiet()).map(({ topic, payload }) => [topic, payload]);
    assert.deepEqual(came, [
      ['alias/one', ''],
      ['alias/two', ''],
      ['alias/one', 'again'],
    ]);
    one.subscribe('long/topic/name');
    publisher.publish({ topic: 'long/topic/name' });
    await quiet();
    assert.deepEqual(one.take().at(-1)?.properties, {});
  });

  test('what comes before CONNACK waits in the stream M157', async () => {
    const early = bench.client();
    const waiting = [...bench.room.links()].at(-1)!;
    const stream = new MemoryStream();
    waiting.stream(stream);
    assert.ok(stream.paused);
    early.connect(`early-${round}`);
    await early.expect('CONNACK');
    assert.ok(!stream.paused);
  });

  test('only packets about messages have a place on them M157', async () => {
    open().handler!.data(Buffer.from([PINGREQ << 4, 0]));
    const goodbye = (await quiet()).at(-1);
    assert.deepEqual([goodbye?.type, goodbye?.reason], ['DISCONNECT', 0x82]);
  });

  test('one that is not read loses its own QoS 0 and holds up nobody M161 M157', async () => {
    const stuck = open();
    stuck.subscribe('big/#');
    await client.subscribed('small');
    await quiet();
    stuck.stuck = true;
    for (let index = 0; index < 40; index++) {
      publisher.publish({ topic: 'big/1', payload: 'x'.repeat(1000) });
      await publisher.quiet();
    }
    publisher.publish({ topic: 'small' });
    assert.deepEqual(topics(await quiet()), ['small']);
    assert.ok(stuck.pendingBytes < 12 << 10, `${stuck.pendingBytes} bytes wait`);
    stuck.release();
    publisher.publish({ topic: 'big/2' });
    await publisher.quiet();
    assert.equal(stuck.take().at(-1)?.topic, 'big/2');
  });

  test('its end in order moves its subscriptions to the first one M157', async () => {
    const stream = open();
    stream.subscribe('m', 1);
    publisher.publish({ topic: 'm', qos: 1, packetId: 1 });
    await quiet();
    const [, message] = stream.take();
    stream.handler!.ended();
    assert.ok(!stream.isEnded, 'a message is under way on it');
    client.puback(message!.packetId!);
    assert.ok(stream.isEnded);
    publisher.publish({ topic: 'm', qos: 1, packetId: 2 });
    assert.deepEqual(topics(await quiet()), ['m']);
  });

  test('unfinished packets on many of them are bounded in their sum M157', async () => {
    // A packet of 60 KB is announced on each, and all but its end comes.
    const head = Buffer.from([0x30, 0xe0, 0xd4, 3]);
    const most = Buffer.concat([head, Buffer.alloc(59_000)]);
    for (let index = 0; index < 2; index++) open().handler!.data(most);
    assert.equal(link.state, 'open');
    open().handler!.data(most);
    assert.equal((await client.expect('DISCONNECT')).reason, 0x97);
  });

  test('its end inside of a packet is malformed M157', async () => {
    const stream = open();
    stream.handler!.data(Buffer.from([0x30, 10, 0]));
    stream.handler!.ended();
    assert.equal((await client.expect('DISCONNECT')).reason, 0x81);
  });

  test('a break ends the connection when messages on it are not acknowledged M157', async () => {
    const idle = open();
    idle.subscribe('idle', 1);
    await quiet();
    idle.handler!.broken(new Error('reset'));
    publisher.publish({ topic: 'idle' });
    assert.deepEqual(topics(await quiet()), ['idle'], 'it goes on, on the first stream');
    const busy = open();
    busy.subscribe('busy', 1);
    publisher.publish({ topic: 'busy', qos: 1, packetId: 1 });
    await quiet();
    busy.handler!.broken(new Error('reset'));
    const goodbye = await client.expect('DISCONNECT');
    assert.equal(goodbye.reason, 0x80);
    assert.match(goodbye.properties?.reasonString ?? '', /a stream broke/);
  });
});
