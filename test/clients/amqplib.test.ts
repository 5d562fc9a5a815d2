/** amqplib, unmodified. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type EventEmitter, once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import amqp, { type Channel, type ChannelModel, type ConsumeMessage, type Message } from 'amqplib';
import { Inbox } from './inbox.ts';
import { ADMIN, type Server, startServer } from './server.ts';

describe('amqplib', () => {
  let server: Server;
  const opened: ChannelModel[] = [];

  async function connection(user = 'guest', password = 'guest'): Promise<ChannelModel> {
    const made = await amqp.connect(`amqp://${user}:${password}@${server.address('amqp')}`);
    made.on('error', () => {});
    opened.push(made);
    return made;
  }

  async function channel(): Promise<Channel> {
    const made = await (await connection()).createChannel();
    made.on('error', () => {});
    return made;
  }

  async function consumed(ch: Channel, queue: string, options = {}) {
    const inbox = new Inbox<ConsumeMessage>();
    const put = (message: ConsumeMessage | null) => {
      if (message !== null) inbox.put(message);
    };
    await ch.consume(queue, put, options);
    return inbox;
  }

  before(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close().catch(() => {});
  });
  after(() => server[Symbol.asyncDispose]());

  it('bodies of 0 bytes to 1 MiB pass through a queue A29 A102', async () => {
    const ch = await channel();
    await ch.assertQueue('js.bodies');
    const inbox = await consumed(ch, 'js.bodies', { noAck: true });
    for (const body of [Buffer.alloc(0), Buffer.from('text'), randomBytes(1024 * 1024)]) {
      ch.sendToQueue('js.bodies', body);
      assert.ok(body.equals((await inbox.next()).content));
    }
  });

  it('properties and typed headers come back as sent A3 A42', async () => {
    const ch = await channel();
    await ch.assertQueue('js.properties');
    const headers = {
      text: 'äöü',
      number: 42,
      large: 2 ** 40,
      float: 1.5,
      yes: true,
      nothing: null,
      bytes: Buffer.from([0, 255]),
      list: [1, 'two', { three: 3 }],
      table: { inner: { deep: 'x' } },
    };
    const sent = {
      contentType: 'text/plain',
      contentEncoding: 'identity',
      headers,
      deliveryMode: 2 as const,
      priority: 5,
      correlationId: 'c',
      replyTo: 'answers',
      messageId: 'm',
      timestamp: 1_700_000_000,
      type: 'kind',
      appId: 'app',
    };
    ch.sendToQueue('js.properties', Buffer.from('x'), sent);
    const inbox = await consumed(ch, 'js.properties', { noAck: true });
    const { properties } = await inbox.next();
    for (const [name, value] of Object.entries(sent)) {
      assert.deepEqual(properties[name as keyof typeof sent], value, name);
    }
  });

  it('confirms come for every message, and a mandatory one is returned before its confirm A27 A34', async () => {
    const ch = await (await connection()).createConfirmChannel();
    await ch.assertQueue('js.confirms', { durable: true });
    for (let n = 0; n < 500; n++) ch.sendToQueue('js.confirms', Buffer.from(`${n}`));
    await ch.waitForConfirms();
    assert.equal((await ch.checkQueue('js.confirms')).messageCount, 500);
    const events: string[] = [];
    const returned = new Inbox<Message>();
    ch.on('return', (message: Message) => {
      events.push('return');
      returned.put(message);
    });
    const confirmed = new Promise((resolve) => {
      ch.publish('', 'js.nowhere', Buffer.from('x'), { mandatory: true }, (error) => {
        events.push('confirm');
        resolve(error);
      });
    });
    assert.equal(await confirmed, null);
    assert.deepEqual(events, ['return', 'confirm']);
    const { fields } = await returned.next();
    assert.equal((fields as unknown as { replyCode: number }).replyCode, 312);
  });

  it('prefetch holds messages back until one is acknowledged A24 A31', async () => {
    const ch = await channel();
    await ch.assertQueue('js.prefetch');
    await ch.prefetch(2);
    for (let n = 0; n < 5; n++) ch.sendToQueue('js.prefetch', Buffer.from(`${n}`));
    const inbox = await consumed(ch, 'js.prefetch');
    const [first] = await inbox.take(2);
    assert.equal((await ch.checkQueue('js.prefetch')).messageCount, 3);
    assert.equal(inbox.size, 0);
    ch.ack(first as ConsumeMessage);
    assert.equal(String((await inbox.next()).content), '2');
  });

  it('nack with requeue returns the message to its place, redelivered A31 A33', async () => {
    const ch = await channel();
    await ch.assertQueue('js.nack');
    for (let n = 0; n < 3; n++) ch.sendToQueue('js.nack', Buffer.from(`${n}`));
    const first = await ch.get('js.nack');
    assert.ok(first !== false && !first.fields.redelivered);
    ch.nack(first, false, true);
    const again = await ch.get('js.nack');
    assert.ok(again !== false);
    assert.deepEqual([String(again.content), again.fields.redelivered], ['0', true]);
    ch.reject(again, false);
    const next = await ch.get('js.nack');
    assert.ok(next !== false);
    assert.equal(String(next.content), '1');
  });

  it('higher priorities come first, in order inside one A71', async () => {
    const ch = await (await connection()).createConfirmChannel();
    await ch.assertQueue('js.priority', { durable: true, maxPriority: 10 });
    for (const [n, priority] of [1, 9, 5, 9, 0].entries()) {
      ch.sendToQueue('js.priority', Buffer.from(`${priority}.${n}`), {
        priority,
        persistent: true,
      });
    }
    await ch.waitForConfirms();
    const inbox = await consumed(ch, 'js.priority');
    const got = (await inbox.take(5)).map(({ content }) => String(content));
    assert.deepEqual(got, ['9.1', '9.3', '5.2', '1.0', '0.4']);
  });

  it('expired, rejected and dropped messages come to the dead letter queue with x-death A69 A70', async () => {
    const ch = await (await connection()).createConfirmChannel();
    await ch.assertQueue('js.dead', { durable: true });
    const dead = await consumed(ch, 'js.dead', { noAck: true });
    await ch.assertQueue('js.dying', {
      ...{ durable: true, messageTtl: 300, maxLength: 2 },
      ...{ deadLetterExchange: '', deadLetterRoutingKey: 'js.dead' },
    });
    for (const body of ['over', 'rejected', 'old']) ch.sendToQueue('js.dying', Buffer.from(body));
    await ch.waitForConfirms();
    const first = await ch.get('js.dying');
    assert.ok(first !== false);
    ch.reject(first, false);
    const reasons = new Map<string, string>();
    for (const { content, properties } of await dead.take(3)) {
      const [death] = properties.headers!['x-death'] as { reason: string; queue: string }[];
      assert.equal(death!.queue, 'js.dying');
      reasons.set(String(content), death!.reason);
    }
    assert.deepEqual(
      [reasons.get('over'), reasons.get('rejected'), reasons.get('old')],
      ['maxlen', 'rejected', 'expired'],
    );
  });

  it('a full queue with reject-publish nacks, by count and by bytes A34 A66', async () => {
    const ch = await (await connection()).createConfirmChannel();
    const send = (queue: string, body: string): Promise<boolean> =>
      new Promise((resolve) => {
        ch.sendToQueue(queue, Buffer.from(body), {}, (error) => resolve(error === null));
      });
    const reject = { 'x-overflow': 'reject-publish' };
    await ch.assertQueue('js.full', { durable: true, maxLength: 1, arguments: reject });
    assert.deepEqual([await send('js.full', 'a'), await send('js.full', 'b')], [true, false]);
    const bytes = { ...reject, 'x-max-length-bytes': 10 };
    await ch.assertQueue('js.heavy', { durable: true, arguments: bytes });
    assert.deepEqual(
      [
        await send('js.heavy', '12345678'),
        await send('js.heavy', '123'),
        await send('js.heavy', '1'),
      ],
      [true, false, true],
    );
  });

  it('one consumer is active and the next takes over when its connection goes A37', async () => {
    const one = await connection();
    const first = await one.createChannel();
    const single = { durable: true, arguments: { 'x-single-active-consumer': true } };
    await first.assertQueue('js.single', single);
    const active = await consumed(first, 'js.single');
    const second = await channel();
    const waiting = await consumed(second, 'js.single');
    for (let n = 0; n < 3; n++) second.sendToQueue('js.single', Buffer.from(`${n}`));
    await active.take(3);
    assert.equal(waiting.size, 0);
    await one.close();
    const got = await waiting.take(3);
    assert.deepEqual(
      got.map(({ content, fields }) => [String(content), fields.redelivered]),
      [
        ['0', true],
        ['1', true],
        ['2', true],
      ],
    );
  });

  for (const [type, key, pattern] of [
    ['direct', 'k', 'k'],
    ['fanout', 'anything', ''],
    ['topic', 'a.b.c', 'a.#'],
  ] as const) {
    it(`a ${type} exchange routes to its bound queue A60`, async () => {
      const ch = await channel();
      await ch.assertExchange(`js.${type}`, type, { durable: false });
      const { queue } = await ch.assertQueue('', { exclusive: true });
      await ch.bindQueue(queue, `js.${type}`, pattern);
      const inbox = await consumed(ch, queue, { noAck: true });
      ch.publish(`js.${type}`, key, Buffer.from(type));
      const { content, fields } = await inbox.next();
      assert.deepEqual(
        [String(content), fields.exchange, fields.routingKey],
        [type, `js.${type}`, key],
      );
    });
  }

  it('durable messages outlive a restart A42', async () => {
    const ch = await (await connection()).createConfirmChannel();
    await ch.assertQueue('js.durable', { durable: true });
    for (let n = 0; n < 100; n++) {
      ch.sendToQueue('js.durable', Buffer.from(`${n}`), { persistent: true });
    }
    await ch.waitForConfirms();
    await server.restart();
    const after_ = await channel();
    const inbox = await consumed(after_, 'js.durable');
    const numbers = (await inbox.take(100)).map(({ content }) => Number(content));
    assert.deepEqual(
      numbers,
      Array.from({ length: 100 }, (_, n) => n),
    );
  });

  it('errors close the channel with their codes and leave the connection open A11 A20 A28', async () => {
    const conn = await connection();
    const ch = await conn.createChannel();
    const failed = once(ch as unknown as EventEmitter, 'error');
    ch.publish('js.no-such-exchange', 'k', Buffer.from('x'));
    const [error] = await failed;
    assert.equal(error.code, 404);
    const second = await conn.createChannel();
    second.on('error', () => {});
    await assert.rejects(second.checkQueue('js.no-such-queue'), /404/);
    const third = await conn.createChannel();
    await third.assertQueue('js.after-errors');
  });

  it('a wrong password is refused with 403 A6', async () => {
    await (await connection(ADMIN.user, ADMIN.password)).createChannel();
    await assert.rejects(connection(ADMIN.user, 'wrong'), /403|ACCESS-REFUSED|ACCESS_REFUSED/);
  });
});
