/**
 * A publisher of amqplib that repeats one exchange and one key, while others change what that
 * means: every confirmed message went where the rules of its moment said.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import { ADMIN, HOST, type Server, startServer } from './server.ts';

const TURNS = 20;

describe('amqplib while routes and rights change', () => {
  let server: Server;
  const opened: ChannelModel[] = [];

  async function channel(user = 'guest', password = 'guest'): Promise<ConfirmChannel> {
    const made = await amqp.connect(`amqp://${user}:${password}@${server.address('amqp')}`);
    made.on('error', () => {});
    opened.push(made);
    const ch = await made.createConfirmChannel();
    ch.on('error', () => {});
    return ch;
  }

  /** Publishes one message and waits for its confirm. @returns false when it came back */
  async function publish(ch: ConfirmChannel, exchange: string, key: string): Promise<boolean> {
    let returned = false;
    const told = (): void => {
      returned = true;
    };
    ch.once('return', told);
    ch.publish(exchange, key, Buffer.from('x'), { mandatory: true });
    await ch.waitForConfirms();
    ch.off('return', told);
    return !returned;
  }

  async function change(method: string, path: string, body?: object): Promise<void> {
    const credentials = Buffer.from(`${ADMIN.user}:${ADMIN.password}`).toString('base64');
    const headers = { authorization: `Basic ${credentials}`, 'content-type': 'application/json' };
    const answer = await fetch(`http://${HOST}:${server.ports.admin}/api/v1/${path}`, {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
  }

  before(async () => {
    server = await startServer();
  });
  after(async () => {
    for (const each of opened) await each.close().catch(() => {});
    await server[Symbol.asyncDispose]();
  });

  it('a binding that comes and goes is followed at once A60', async () => {
    const [sender, other] = [await channel(), await channel()];
    await other.assertExchange('turn.x', 'direct');
    await other.assertQueue('turn.q');
    for (let turn = 1; turn <= TURNS; turn++) {
      assert.equal(await publish(sender, 'turn.x', 'k'), false);
      await other.bindQueue('turn.q', 'turn.x', 'k');
      assert.equal(await publish(sender, 'turn.x', 'k'), true);
      await other.unbindQueue('turn.q', 'turn.x', 'k');
      assert.equal((await other.checkQueue('turn.q')).messageCount, turn);
    }
  });

  it('a queue that is deleted and made again under its name is another one A23', async () => {
    const [sender, other] = [await channel(), await channel()];
    const kinds = [{ durable: true }, { durable: false }, { durable: false, autoDelete: true }];
    for (let turn = 0; turn < TURNS; turn++) {
      await other.assertQueue('again', kinds[turn % kinds.length]);
      assert.equal(await publish(sender, '', 'again'), true);
      assert.equal((await other.checkQueue('again')).messageCount, 1);
      await other.deleteQueue('again');
      assert.equal(await publish(sender, '', 'again'), false);
    }
  });

  it('an alternate exchange that goes, comes and leads elsewhere is followed A61 A62', async () => {
    const [sender, other] = [await channel(), await channel()];
    await other.assertExchange('alt.x', 'topic', { alternateExchange: 'alt.spare' });
    for (const queue of ['alt.a', 'alt.b']) await other.assertQueue(queue);
    for (let turn = 1; turn <= TURNS; turn++) {
      assert.equal(await publish(sender, 'alt.x', 'k.k'), false);
      await other.assertExchange('alt.spare', 'fanout', { durable: turn % 2 === 0 });
      assert.equal(await publish(sender, 'alt.x', 'k.k'), false);
      await other.assertExchange('alt.inner', 'fanout');
      await other.bindExchange('alt.inner', 'alt.spare', '');
      await other.bindQueue(turn % 2 === 0 ? 'alt.a' : 'alt.b', 'alt.inner', '');
      assert.equal(await publish(sender, 'alt.x', 'k.k'), true);
      await other.unbindExchange('alt.inner', 'alt.spare', '');
      assert.equal(await publish(sender, 'alt.x', 'k.k'), false);
      for (const exchange of ['alt.spare', 'alt.inner']) await other.deleteExchange(exchange);
    }
    for (const queue of ['alt.a', 'alt.b']) {
      assert.equal((await other.checkQueue(queue)).messageCount, TURNS / 2);
    }
  });

  it('a right that goes closes the channel with 403 at the next message A76', async () => {
    await change('POST', 'users', { name: 'ann', password: 'of ann', loopbackOnly: false });
    const rule = { principal: 'ann', pattern: '#', actions: ['publish', 'subscribe', 'create'] };
    await change('PUT', 'rules/ann', { effect: 'allow', ...rule });
    const other = await channel();
    await other.assertQueue('mine');
    for (let turn = 1; turn <= 5; turn++) {
      const ann = await channel('ann', 'of ann');
      assert.equal(await publish(ann, '', 'mine'), true);
      const denial = { effect: 'deny', ...rule, pattern: 'mine', actions: ['publish'] };
      await change('PUT', 'rules/shut', denial);
      const failed = once(ann, 'error');
      ann.publish('', 'mine', Buffer.from('late'));
      const [error] = (await failed) as [Error & { code: number }];
      assert.equal(error.code, 403);
      await change('DELETE', 'rules/shut');
      assert.equal((await other.checkQueue('mine')).messageCount, turn);
    }
  });

  it('an exchange that is deleted is 404 at the next message, whatever was published before A28', async () => {
    const [sender, other] = [await channel(), await channel()];
    await other.assertExchange('gone.x', 'fanout');
    await other.assertQueue('gone.q');
    await other.bindQueue('gone.q', 'gone.x', '');
    assert.equal(await publish(sender, 'gone.x', ''), true);
    await other.deleteExchange('gone.x');
    const failed = once(sender, 'error');
    sender.publish('gone.x', '', Buffer.from('late'));
    const [error] = (await failed) as [Error & { code: number }];
    assert.equal(error.code, 404);
    assert.equal((await other.checkQueue('gone.q')).messageCount, 1);
  });
});
