/** nats.js (package nats), unmodified. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  type ConnectionOptions,
  connect,
  Empty,
  headers,
  type Msg,
  type NatsConnection,
} from 'nats';
import { Inbox } from './inbox.ts';
import { ADMIN, type Server, startServer } from './server.ts';

describe('nats.js', () => {
  let server: Server;
  const opened: NatsConnection[] = [];

  async function client(options: ConnectionOptions = {}): Promise<NatsConnection> {
    const made = await connect({ servers: server.address('nats'), reconnect: false, ...options });
    opened.push(made);
    return made;
  }

  /** An inbox of a subscription that the server has. */
  async function subscribed(nc: NatsConnection, subject: string, options: object = {}) {
    const inbox = new Inbox<Msg>();
    const callback = (error: Error | null, message: Msg) => {
      assert.equal(error, null);
      inbox.put(message);
    };
    const subscription = nc.subscribe(subject, { callback, ...options });
    await nc.flush();
    return { inbox, subscription };
  }

  before(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
  });
  after(() => server[Symbol.asyncDispose]());

  it('bodies of 0 bytes to 1 MiB reach a subscriber N9 R67', async () => {
    const reader = await client();
    const writer = await client();
    const { inbox } = await subscribed(reader, 'js.data');
    for (const body of [Empty, Buffer.from('text'), randomBytes(1024 * 1024)]) {
      writer.publish('js.data', body);
      assert.ok(Buffer.from(body).equals((await inbox.next()).data));
    }
  });

  it('wildcards match by tokens N16', async () => {
    const nc = await client();
    const star = await subscribed(nc, 'js.w.*.c');
    const rest = await subscribed(nc, 'js.w.>');
    for (const subject of ['js.w', 'js.w.b.c', 'js.w.b.d', 'js.w.b.c.d']) nc.publish(subject);
    await nc.flush();
    const seen = (await rest.inbox.take(3)).map(({ subject }) => subject);
    assert.deepEqual(seen, ['js.w.b.c', 'js.w.b.d', 'js.w.b.c.d']);
    assert.deepEqual([rest.inbox.count, star.inbox.count], [3, 1]);
  });

  it('each message goes to one member of a queue group and to every plain subscriber N18 N19', async () => {
    const nc = await client();
    const members = await Promise.all(
      [1, 2, 3].map(() => subscribed(nc, 'js.q', { queue: 'workers' })),
    );
    const plain = await subscribed(nc, 'js.q');
    for (let n = 0; n < 300; n++) nc.publish('js.q', `${n}`);
    await plain.inbox.take(300);
    await nc.flush();
    const counts = members.map(({ inbox }) => inbox.count);
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      300,
    );
    assert.ok(Math.min(...counts) > 30, `starved member: ${counts}`);
  });

  it('requests are answered, and fail at once when nobody listens N17 N20', async () => {
    const service = await client();
    await service.flush();
    service.subscribe('js.service', {
      callback: (_error, message) => message.respond(`answer to ${message.string()}`),
    });
    await service.flush();
    const nc = await client();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => nc.request('js.service', `${n}`)),
    );
    answers.forEach((answer, n) => {
      assert.equal(answer.string(), `answer to ${n}`);
    });
    await assert.rejects(nc.request('js.nobody'), { code: '503' });
  });

  it('headers keep names, order and repeated values N10 X10', async () => {
    const nc = await client();
    const { inbox } = await subscribed(nc, 'js.headers');
    const sent = headers();
    sent.append('Name', 'one');
    sent.append('name', 'two');
    sent.append('Name', 'three: with colon');
    nc.publish('js.headers', 'body', { headers: sent });
    const got = (await inbox.next()).headers;
    assert.deepEqual(got?.values('Name'), ['one', 'three: with colon']);
    assert.deepEqual(got?.values('name'), ['two']);
  });

  it('a subscription with a maximum ends after that many N17', async () => {
    const nc = await client();
    const few = await subscribed(nc, 'js.max', { max: 5 });
    const all = await subscribed(nc, 'js.max');
    for (let n = 0; n < 10; n++) nc.publish('js.max', `${n}`);
    await all.inbox.take(10);
    assert.equal(few.inbox.count, 5);
  });

  it('no echo, verbose and pedantic are honoured N4 N5 N7', async () => {
    const silent = await client({ noEcho: true, verbose: true, pedantic: true });
    const other = await client();
    const { inbox } = await subscribed(silent, 'js.echo');
    silent.publish('js.echo', 'own');
    await silent.flush();
    other.publish('js.echo', 'other');
    assert.equal((await inbox.next()).string(), 'other');
  });

  it('user and password are checked N40', async () => {
    const good = await client({ user: ADMIN.user, pass: ADMIN.password });
    assert.ok((await good.rtt()) >= 0);
    await assert.rejects(client({ user: ADMIN.user, pass: 'wrong' }), {
      code: 'AUTHORIZATION_VIOLATION',
    });
  });

  it('a drained subscription gets what was sent before N21', async () => {
    const nc = await client();
    const writer = await client();
    const { inbox, subscription } = await subscribed(nc, 'js.drain');
    for (let n = 0; n < 1000; n++) writer.publish('js.drain', `${n}`);
    await writer.flush();
    await subscription.drain();
    assert.equal(inbox.count, 1000);
  });

  it('100 000 messages arrive complete and in order N21', async () => {
    const nc = await client();
    const { inbox } = await subscribed(nc, 'js.many');
    const writer = await client();
    for (let n = 0; n < 100_000; n++) writer.publish('js.many', `${n}`);
    await writer.flush();
    for (let n = 0; n < 100_000; n++) assert.equal(Number((await inbox.next()).string()), n);
  });
});
