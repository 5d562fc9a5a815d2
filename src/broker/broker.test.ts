import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { plainDotSpelling, slashSpelling, strictDotSpelling } from './addresses/address.ts';
import type { Match } from './addresses/interest.ts';
import { slashPattern, strictDotPattern } from './addresses/pattern.ts';
import { Rig } from './broker.rig.ts';
import type { Message } from './records/message.ts';

describe('broker', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
  });

  afterEach(() => rig.close());

  const listener = () => {
    const got: string[] = [];
    const receive = (message: Message, matches: readonly Match[]): void => {
      got.push(`${message.value} ${matches.length}`);
    };
    return { got, receive };
  };

  describe('where a message is stored', () => {
    it('the first level of a slash address, made when missing, with the address as key', async () => {
      const sent = await rig.publish(slashSpelling.parse('sensors/1/temp'), 'x');
      const { stream } = sent.partition!;
      assert.equal(stream.name, 'sensors');
      const batch = (await sent.partition!.readBatches(0, 1000))[0]!;
      assert.equal(batch.count, 1);
      assert.ok(batch.bytes.includes('sensors/1/temp'));
      const run = await sent.partition!.readRun(0, 1000);
      assert.equal(run.messages[0]!.address.text, 'sensors/1/temp');
      assert.equal(run.messages[0]!.key, null);
    });

    it('a flat name is its own stream', async () => {
      await rig.publish('a.b.c', 'x');
      assert.deepEqual(await rig.stored('a.b.c'), ['x']);
    });

    it('an existing stream of the flat name captures the dotted address, without one it is live only', async () => {
      const address = strictDotSpelling.parse('orders.new');
      const live = await rig.publish(address, '1', {}, 'captured');
      assert.equal(live.partition, null);
      rig.broker.streams.create('orders.new');
      await rig.publish(address, '2', {}, 'captured');
      assert.deepEqual(await rig.stored('orders.new'), ['2']);
    });

    it('a route comes first, and moves future records only', async () => {
      await rig.publish(slashSpelling.parse('plant/1'), '1');
      rig.broker.routes.put({ name: 'r', pattern: 'plant/#', stream: 'site', key: 'address' });
      await rig.publish(slashSpelling.parse('plant/1'), '2');
      await rig.publish(strictDotSpelling.parse('plant.2'), '3', {}, 'captured');
      assert.deepEqual(await rig.stored('plant'), ['1']);
      assert.deepEqual(await rig.stored('site'), ['2', '3']);
    });

    it('$ addresses, _INBOX and owned names never match a default X3', async () => {
      for (const text of ['$SYS/x', '_INBOX/a', '__x', 'amq.x', 'mq9.x']) {
        assert.equal((await rig.publish(slashSpelling.parse(text), 'x')).partition, null, text);
      }
    });

    it('the partition follows the key, else the address X19', async () => {
      rig.broker.streams.create('many', { partitions: 8 });
      const address = slashSpelling.parse('many/a');
      const first = await rig.publish(address, '1');
      const again = await rig.publish(address, '2');
      assert.equal(first.partition, again.partition);
      const used = new Set<number>();
      for (let n = 0; n < 40; n++) {
        used.add((await rig.publish(address, 'x', { key: Buffer.from(`k${n}`) })).partition!.index);
      }
      assert.ok(used.size > 4);
    });
  });

  describe('live delivery', () => {
    it('gives a subscriber each message once, with all its matching subscriptions', async () => {
      const one = listener();
      for (const filter of ['a/#', 'a/+', 'a/b']) {
        rig.broker.subscribe({ pattern: slashPattern(filter)!, subscriber: one });
      }
      await rig.publish(slashSpelling.parse('a/b'), 'x');
      assert.deepEqual(one.got, ['x 3']);
    });

    it('gives one member of a group each message N18', async () => {
      const members = [listener(), listener(), listener()];
      for (const subscriber of members) {
        rig.broker.subscribe({ pattern: strictDotPattern('g.>')!, subscriber, group: 'q' });
      }
      for (let n = 0; n < 60; n++) {
        await rig.publish(strictDotSpelling.parse('g.x'), String(n), {}, 'captured');
      }
      assert.equal(
        members.reduce((sum, member) => sum + member.got.length, 0),
        60,
      );
      for (const member of members) assert.ok(member.got.length > 0);
    });

    it('passes over a member of a group that does not accept the message N7', async () => {
      const own = { ...listener(), accepts: (message: Message) => message.source !== own };
      const other = listener();
      for (const subscriber of [own, other]) {
        rig.broker.subscribe({ pattern: strictDotPattern('g.>')!, subscriber, group: 'q' });
      }
      for (let n = 0; n < 20; n++) {
        await rig.publish(strictDotSpelling.parse('g.x'), 'x', { source: own }, 'captured');
      }
      assert.equal(own.got.length, 0);
      assert.equal(other.got.length, 20);
    });

    it('counts interest: subscribers, queues, groups and the store X25', async () => {
      const address = plainDotSpelling.parse('i.x');
      assert.equal(rig.broker.interest(address), 0);
      rig.broker.subscribe({ pattern: slashPattern('i/x')!, subscriber: listener() });
      assert.equal(rig.broker.interest(address), 1);
    });
  });

  describe('durability', () => {
    it('what was acknowledged is there after a power cut, with the streams X62', async () => {
      for (let n = 0; n < 50; n++) await rig.publish('t', String(n));
      await rig.crash();
      const expected = Array.from({ length: 50 }, (_, n) => String(n));
      assert.deepEqual((await rig.stored('t')).slice(0, 50), expected);
    });

    it('state and cursors share the commit of the data and survive', async () => {
      rig.broker.state.put('kind', 'key', Buffer.from('1'));
      await rig.publish('t', 'x');
      rig.broker.state.put('kind', 'other', Buffer.from('2'));
      await new Promise<void>((resolve) => {
        const entry = { stream: 't', partition: 0, offset: 7, epoch: -1, metadata: 'm', timeMs: 1 };
        rig.broker.cursors.commit('g', [entry], () => resolve());
      });
      await rig.crash();
      assert.equal(rig.broker.state.get('kind', 'key')?.toString(), '1');
      assert.equal(rig.broker.state.get('kind', 'other')?.toString(), '2');
      assert.equal(rig.broker.cursors.get('g', 't', 0)?.offset, 7);
    });

    it('state survives a checkpoint, a removal and another crash', async () => {
      rig.broker.state.put('kind', 'a', Buffer.from('1'));
      rig.broker.state.put('kind', 'b', Buffer.from('1'));
      await rig.publish('t', 'x');
      await rig.engine.checkpoint();
      rig.broker.state.delete('kind', 'a');
      await rig.publish('t', 'y');
      await rig.crash();
      assert.equal(rig.broker.state.get('kind', 'a'), undefined);
      assert.equal(rig.broker.state.get('kind', 'b')?.toString(), '1');
    });

    it('last values come back with all their properties X5', async () => {
      const address = slashSpelling.parse('r/1');
      const sent = await rig.publish(address, 'v', { contentType: 'text/plain', retain: true });
      rig.broker.lastValues.keep(sent);
      await rig.publish('t', 'x');
      await rig.crash();
      const [kept] = [...rig.broker.lastValues.match(slashPattern('r/#')!)];
      assert.equal(kept?.value?.toString(), 'v');
      assert.equal(kept?.contentType, 'text/plain');
      assert.equal(kept?.address.text, 'r/1');
      assert.equal([...rig.broker.lastValues.match(slashPattern('r/1')!)].length, 1);
      rig.broker.lastValues.remove(address);
      assert.equal(rig.broker.lastValues.count, 0);
    });

    it('producer ids are never given twice', async () => {
      const first = [await rig.broker.producerIds.next(), await rig.broker.producerIds.next()];
      await rig.crash();
      assert.ok(!first.includes(await rig.broker.producerIds.next()));
    });

    it('a failed sync refuses every later publish and still serves what is committed', async () => {
      await rig.publish('t', 'kept');
      rig.files.fault = () => {
        throw new Error('the disk is gone');
      };
      await assert.rejects(rig.publish('t', 'lost'), (error) => {
        return error instanceof BrokerError && error.code === 'storage-failed';
      });
      await assert.rejects(rig.publish('t', 'refused'), BrokerError);
      assert.deepEqual(await rig.stored('t'), ['kept']);
      assert.equal(rig.broker.health, 'failed');
      rig.files.fault = null;
    });
  });

  describe('rights', () => {
    it('a deny on either form of a name denies, on every way in X33', () => {
      const { principals } = rig.broker;
      const user = rig.broker.anonymous({ loopback: true });
      principals.putRule({
        id: '1',
        effect: 'deny',
        principal: 'anonymous',
        actions: ['publish', 'subscribe'],
        pattern: 'secret/#',
      });
      const may = (text: Parameters<typeof rig.broker.authorize>[2]): boolean =>
        rig.broker.authorize(user, 'publish', text);
      assert.equal(may(slashSpelling.parse('secret/a')), false);
      assert.equal(may(strictDotSpelling.parse('secret.a')), false);
      assert.equal(may('secret.a'), false);
      assert.equal(may('secret'), false);
      assert.equal(may('public'), true);
      const sub = (pattern: NonNullable<ReturnType<typeof slashPattern>>): boolean =>
        rig.broker.authorize(user, 'subscribe', pattern);
      assert.equal(sub(slashPattern('#')!), false);
      assert.equal(sub(slashPattern('public/#')!), true);
      assert.equal(sub(strictDotPattern('*.a')!), false);
      principals.putRule({
        id: '2',
        effect: 'deny',
        principal: '*',
        actions: ['publish'],
        pattern: 'flat.name',
      });
      assert.equal(may(strictDotSpelling.parse('flat.name')), false);
    });

    it('an allow rule limits its principal to what it names', () => {
      const user = rig.broker.anonymous({ loopback: true });
      rig.broker.principals.putRule({
        id: '1',
        effect: 'allow',
        principal: 'anonymous',
        actions: ['subscribe'],
        pattern: 'a/#',
      });
      const may = (filter: string): boolean =>
        rig.broker.authorize(user, 'subscribe', slashPattern(filter)!);
      assert.ok(may('a/b'));
      assert.ok(may('a/+/c'));
      assert.ok(may('a/#'));
      assert.ok(!may('+/b'));
      assert.ok(!may('#'));
      assert.ok(!rig.broker.authorize(user, 'publish', slashSpelling.parse('a/b')));
    });

    it('anonymous is for loopback; wrong passwords are refused; the first user exists', async () => {
      assert.throws(() => rig.broker.anonymous({ loopback: false }), BrokerError);
      const login = (user: string, password: string, loopback = true) =>
        rig.broker.authenticate({ user, password, loopback });
      assert.equal((await login('admin', 'robustmq')).superuser, true);
      await assert.rejects(login('admin', 'wrong'), BrokerError);
      await assert.rejects(login('nobody', 'robustmq'), BrokerError);
      await assert.rejects(login('admin', 'robustmq', false), BrokerError);
    });
  });
});
