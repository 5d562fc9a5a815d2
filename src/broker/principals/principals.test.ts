import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { BrokerError } from '#kit';
import { ScramClient } from '../../../test/contract/scram-client.ts';
import { flatAddress, slashSpelling, strictDotSpelling } from '../addresses/address.ts';
import { slashPattern, strictDotPattern } from '../addresses/pattern.ts';
import { Rig } from '../broker.rig.ts';
import { wholeOf } from './place.ts';
import type { PeerFacts, Principal } from './principal.ts';
import type { Rule } from './rule.ts';
import type { ScramMechanism } from './scram.ts';

describe('principals', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
  });

  afterEach(() => rig.close());

  const LOOPBACK = { loopback: true } as const;

  async function user(name: string, facts: PeerFacts = {}): Promise<Principal> {
    const { principals } = rig.broker;
    await principals.setUser(name, 'secret', { superuser: false });
    return principals.authenticate({ user: name, password: 'secret', loopback: true, facts });
  }

  function put(rule: Partial<Rule> & Pick<Rule, 'pattern'>): void {
    const base = { id: rule.pattern, effect: 'allow', principal: '*', actions: ['all'] } as const;
    rig.broker.principals.putRule({ ...base, ...rule });
  }

  it('what is kept for the server nobody else publishes to, whatever the rules M170', async () => {
    const { principals } = rig.broker;
    principals.keepForServer(['$SYS']);
    const admin = await principals.authenticate({
      user: 'admin',
      password: 'robustmq',
      ...LOOPBACK,
    });
    const joe = await user('joe');
    put({ pattern: '$SYS/#' });
    const places = [slashSpelling.parse('$SYS/a'), strictDotSpelling.parse('$SYS.a'), '$SYS.a'];
    for (const place of places) {
      assert.equal(principals.authorize(admin, 'publish', place), false);
      assert.equal(principals.authorize(joe, 'publish', place), false);
      assert.equal(principals.authorize(joe, 'subscribe', place), true);
    }
    assert.equal(principals.authorize(admin, 'publish', slashSpelling.parse('$SYSTEM/a')), true);
  });

  function scramLogin(mechanism: ScramMechanism, name: string, password: string): Principal {
    const login = rig.broker.principals.scram(mechanism, LOOPBACK);
    const client = new ScramClient(mechanism, name, password);
    const done = login.final(client.final(login.first(client.first)));
    assert.equal(done.answer.toString(), client.signature);
    return done.principal;
  }

  describe('users', () => {
    it('a user that is disabled or removed has no rights from that moment on M177', async () => {
      const { principals } = rig.broker;
      const joe = await user('joe');
      let changes = 0;
      principals.onChange(() => changes++);
      assert.ok(rig.broker.authorize(joe, 'publish', 'a'));
      principals.store.change('joe', { enabled: false });
      assert.equal(changes, 1);
      assert.ok(!principals.stands(joe));
      assert.ok(!rig.broker.authorize(joe, 'publish', 'a'));
      const login = { user: 'joe', password: 'secret', loopback: true };
      await assert.rejects(principals.authenticate(login), { code: 'bad-credentials' });
      principals.store.change('joe', { enabled: true });
      assert.ok(principals.stands(joe));
      principals.removeUser('joe');
      assert.ok(!principals.stands(joe));
      await user('joe');
      assert.ok(!principals.stands(joe), 'another user of the same name');
    });

    it('a superuser that is none any more is bound by rules at once M177', async () => {
      const { principals } = rig.broker;
      await principals.setUser('root', 'secret', { superuser: true });
      const root = await principals.authenticate({ user: 'root', password: 'secret', ...LOOPBACK });
      put({ effect: 'deny', pattern: 'a/#' });
      assert.ok(rig.broker.authorize(root, 'publish', 'a'));
      principals.store.change('root', { superuser: false });
      assert.ok(!rig.broker.authorize(root, 'publish', 'a'));
    });

    it('users and rules survive a crash; no id is given twice M176', async () => {
      const first = await user('joe');
      put({ pattern: 'x/#', principal: 'joe' });
      rig.broker.principals.removeUser('joe');
      await rig.broker.definitions.durable();
      await rig.crash();
      const second = await user('joe');
      assert.notEqual(second.id, first.id);
      assert.deepEqual(
        rig.broker.principals.rules().map(({ pattern }) => pattern),
        ['x/#'],
      );
    });

    it('SCRAM logs in with the password of the user store K74 M145', async () => {
      await user('joe');
      for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
        assert.equal(scramLogin(mechanism, 'joe', 'secret').name, 'joe');
        assert.throws(() => scramLogin(mechanism, 'joe', 'wrong'), { code: 'bad-credentials' });
        assert.throws(() => scramLogin(mechanism, 'nobody', 'secret'), { code: 'bad-credentials' });
      }
    });

    it('an unknown name is told the same salt each time, as a known one is K74', () => {
      const saltOf = (name: string): string => {
        const login = rig.broker.principals.scram('SCRAM-SHA-512', LOOPBACK);
        return login
          .first(Buffer.from(`n,,n=${name},r=abc`))
          .toString()
          .split(',')[1]!;
      };
      assert.equal(saltOf('nobody'), saltOf('nobody'));
      assert.notEqual(saltOf('nobody'), saltOf('nobody2'));
      assert.equal(saltOf('nobody').length, saltOf('admin').length);
    });

    it('a credential that a client made is the password everywhere K76', async () => {
      const { principals } = rig.broker;
      const salt = Buffer.from('0123456789abcdef');
      const salted = pbkdf2Sync('made', salt, 4096, 64, 'sha512');
      const change = { mechanism: 'SCRAM-SHA-512', salt, iterations: 4096, salted } as const;
      await user('joe');
      principals.store.setScram('joe', change);
      principals.store.setScram('ann', change);
      for (const name of ['joe', 'ann']) {
        const right = { user: name, password: 'made', loopback: true };
        assert.equal((await principals.authenticate(right)).name, name);
        assert.equal(scramLogin('SCRAM-SHA-512', name, 'made').name, name);
        const old = { ...right, password: 'secret' };
        await assert.rejects(principals.authenticate(old), { code: 'bad-credentials' });
      }
      principals.store.removeScram('ann', 'SCRAM-SHA-512');
      const gone = { user: 'ann', password: 'made', loopback: true };
      await assert.rejects(principals.authenticate(gone), { code: 'bad-credentials' });
      const few = { ...change, iterations: 4095 };
      assert.throws(() => principals.store.setScram('ann', few), { code: 'invalid-argument' });
    });

    it('passwords of a Mosquitto file are verified as they are M175', async () => {
      const salt = Buffer.from('saltsaltsalt');
      const seven = pbkdf2Sync('seven', salt, 101, 64, 'sha512').toString('base64');
      const six = createHash('sha512').update('six').update(salt).digest('base64');
      const { principals } = rig.broker;
      const common = { salt: salt.toString('base64') };
      const list = [
        { name: 'u7', form: 'pbkdf2-sha512', iterations: 101, hash: seven, ...common },
        { name: 'u6', form: 'sha512', iterations: 1, hash: six, ...common },
        { name: 'admin', form: 'sha512', iterations: 1, hash: six, ...common },
      ] as const;
      assert.deepEqual(principals.store.takeOver('file', list), ['admin']);
      for (const [name, password] of [
        ['u7', 'seven'],
        ['u6', 'six'],
      ] as const) {
        const login = { user: name, password, loopback: false };
        assert.equal((await principals.authenticate(login)).name, name);
        await assert.rejects(principals.authenticate({ ...login, password: 'x' }), BrokerError);
      }
      principals.store.takeOver('file', []);
      assert.deepEqual(
        principals.users().map(({ name }) => name),
        ['admin'],
      );
    });

    it('an address that fails too often is not heard; a known password still is M177', async () => {
      const { principals } = rig.broker;
      const facts = { peerHost: '10.0.0.1' };
      await user('joe', facts);
      await principals.setUser('ann', 'secret', { superuser: false });
      principals.configure({ failuresMax: 3, failuresWindowMs: 60_000 });
      const login = (name: string, password: string, peerHost = '10.0.0.1') =>
        principals.authenticate({ user: name, password, loopback: false, facts: { peerHost } });
      for (let n = 0; n < 3; n++) await assert.rejects(login('ann', `guess ${n}`), BrokerError);
      await assert.rejects(login('ann', 'secret'), { code: 'bad-credentials' });
      assert.equal((await login('joe', 'secret')).name, 'joe');
      assert.equal((await login('ann', 'secret', '10.0.0.2')).name, 'ann');
    });
  });

  describe('rules', () => {
    it('roles, placeholders and addresses of clients decide M174', async () => {
      const facts = { clientId: 'c1', peerHost: '10.1.1.1', commonName: 'device.example' };
      const joe = await user('joe', facts);
      put({ pattern: 'd/${clientid}/#', principal: 'joe' });
      put({ pattern: 'u/${username}', principal: '*' });
      put({ pattern: 'h/${peerhost}/${cert_common_name}', principal: '*' });
      put({ pattern: 'role', principal: 'role:staff' });
      put({ pattern: 'host', host: '10.1.1.2' });
      const may = (topic: string): boolean =>
        rig.broker.authorize(joe, 'publish', slashSpelling.parse(topic));
      assert.ok(may('d/c1/x'));
      assert.ok(!may('d/c2/x'));
      assert.ok(may('u/joe'));
      assert.ok(may('h/10.1.1.1/device.example'));
      assert.ok(!may('role'));
      rig.broker.principals.store.change('joe', { roles: ['staff'] });
      assert.ok(may('role'));
      assert.ok(!may('host'));
    });

    it('a value with a separator or a wildcard fills no placeholder M174', async () => {
      put({ pattern: 'd/${clientid}', principal: '*' });
      put({ id: 'deny', pattern: 'n/${clientid}', effect: 'deny' });
      for (const clientId of ['+', '#', 'a/b', '']) {
        const joe = await user('joe', { clientId });
        const may = (topic: string): boolean =>
          rig.broker.authorize(joe, 'publish', slashSpelling.parse(topic));
        assert.ok(!may(`d/${clientId}`), clientId);
        assert.ok(!may('d/x'), clientId);
        assert.ok(!may('n/x'), 'a deny with an unknown value holds for every value');
      }
    });

    it('reading a stream as a whole needs the right for all that it holds X33', async () => {
      const joe = await user('joe');
      const whole = () => wholeOf(rig.broker.routes, 'plant');
      assert.ok(rig.broker.authorize(joe, 'subscribe', whole()));
      put({ effect: 'deny', pattern: 'plant/secret/#', actions: ['subscribe'] });
      assert.ok(!rig.broker.authorize(joe, 'subscribe', whole()));
      rig.broker.principals.removeRule('plant/secret/#');
      put({ effect: 'deny', pattern: 'elsewhere', actions: ['subscribe'] });
      assert.ok(rig.broker.authorize(joe, 'subscribe', whole()));
      rig.broker.routes.put({ name: 'r', pattern: 'elsewhere/#', stream: 'plant', key: 'none' });
      assert.ok(!rig.broker.authorize(joe, 'subscribe', whole()));
      rig.broker.routes.remove('r');
      put({ pattern: 'plant', principal: 'joe' });
      assert.ok(!rig.broker.authorize(joe, 'subscribe', whole()), 'the name alone');
      put({ pattern: 'plant/#', principal: 'joe' });
      assert.ok(rig.broker.authorize(joe, 'subscribe', whole()));
    });

    it('a rule on a stream holds for every way to what is in it X33 K78', async () => {
      const joe = await user('joe');
      put({ id: 'o', kind: 'stream', pattern: 'orders', effect: 'deny', actions: ['subscribe'] });
      put({ id: 'p', kind: 'stream', pattern: 'a.b', match: 'prefix', effect: 'deny' });
      const reads = (what: Parameters<typeof rig.broker.authorize>[2]): boolean =>
        rig.broker.authorize(joe, 'subscribe', what);
      for (const filter of ['orders', 'orders/x', 'orders/#', '#', '+/x']) {
        assert.ok(!reads(slashPattern(filter)!), filter);
      }
      for (const subject of [
        'orders',
        'orders.x',
        'orders.>',
        '>',
        'a.b',
        'a.bc.d',
        'a.>',
        'a.*',
      ]) {
        assert.ok(!reads(strictDotPattern(subject)!), subject);
      }
      assert.ok(!reads(wholeOf(rig.broker.routes, 'orders')));
      assert.ok(!reads(wholeOf(rig.broker.routes, 'a.bc')));
      for (const filter of ['ordersx', 'a/b', 'orders.x']) assert.ok(reads(slashPattern(filter)!));
      for (const subject of ['ordersx', 'a', 'b.>']) assert.ok(reads(strictDotPattern(subject)!));
      assert.ok(rig.broker.authorize(joe, 'publish', 'orders'));
      assert.ok(!rig.broker.authorize(joe, 'publish', strictDotSpelling.parse('a.b.c')));
    });

    it('a prefix that is allowed covers patterns of its streams only K78', async () => {
      const joe = await user('joe');
      put({ id: 'p', kind: 'stream', pattern: 'team', match: 'prefix', principal: 'joe' });
      const reads = (what: Parameters<typeof rig.broker.authorize>[2]): boolean =>
        rig.broker.authorize(joe, 'subscribe', what);
      assert.ok(reads(slashPattern('team1/#')!));
      assert.ok(reads(strictDotPattern('team.>')!));
      assert.ok(reads(wholeOf(rig.broker.routes, 'team.x')));
      assert.ok(!reads(slashPattern('+/x')!));
      assert.ok(!reads(strictDotPattern('*.x')!));
      assert.ok(!reads(slashSpelling.parse('$group/team')), 'groups are no streams');
    });

    it('no rule about data gives a right on the cluster X33', async () => {
      const joe = await user('joe');
      put({ pattern: '#', principal: 'joe' });
      put({ id: 's', kind: 'stream', pattern: '*', principal: 'joe' });
      const cluster = flatAddress('$cluster');
      for (const action of ['administer', 'alter', 'create'] as const) {
        assert.ok(!rig.broker.authorize(joe, action, cluster), action);
      }
      assert.ok(!rig.broker.authorize(joe, 'administer', 'anything'));
      put({ id: 'c', kind: 'cluster', pattern: '*', principal: 'joe', actions: ['administer'] });
      assert.ok(rig.broker.authorize(joe, 'administer', cluster));
    });

    it('what no rule speaks of follows the setting M174', async () => {
      const joe = await user('joe');
      const { principals } = rig.broker;
      const may = (): boolean => rig.broker.authorize(joe, 'publish', 'free');
      assert.ok(may());
      principals.configure({ noMatch: 'deny' });
      assert.ok(!may());
      put({ pattern: 'other', principal: 'joe' });
      principals.configure({ noMatch: 'auto' });
      assert.ok(!may(), 'an allow rule names it');
      principals.configure({ noMatch: 'allow' });
      assert.ok(may());
    });

    it('a rule that cannot be enforced is refused M174', () => {
      const wrong: Partial<Rule>[] = [
        { pattern: 'a/#/b' },
        { pattern: '${password}' },
        { actions: [] },
        { actions: ['fly' as never] },
        { kind: 'user' as never },
        { principal: '' },
        { match: 'prefix' },
        { pattern: '' },
      ];
      for (const fields of wrong) {
        assert.throws(() => put({ pattern: 'x', ...fields }), { code: 'invalid-argument' });
      }
    });
  });
});
