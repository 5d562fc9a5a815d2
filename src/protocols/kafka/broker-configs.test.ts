import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { Client, newTopic, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { alterConfigs } from './messages/33-alter-configs.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import { MIN_INSYNC } from './topic-limits.ts';

const TOPIC = 2;
const BROKER = 4;
const SET = 0;
const DELETE = 1;
const APPEND = 2;

test('configs of the broker are told as they are, and refused with their names when one would change them K80 K14', async () => {
  const host = await openTestHost();
  const room = openRoom(host, { idleTimeout: 123_000 });
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
  const root = new Client(room, { peer: { identity } });
  const configs = [{ name: 'num.partitions', configOperation: 0, value: '8' }];
  for (const resourceName of ['', '0']) {
    const resources = [{ resourceType: BROKER, resourceName, configs }];
    for (const validateOnly of [true, false]) {
      const asked = { resources, validateOnly };
      const { responses } = await root.ask(incrementalAlterConfigs, 1, asked);
      assert.equal(responses[0]!.errorCode, KAFKA.INVALID_REQUEST);
      assert.match(responses[0]!.errorMessage!, /num\.partitions/);
      const older = await root.ask(alterConfigs, 2, asked);
      assert.equal(older.responses[0]!.errorCode, KAFKA.INVALID_REQUEST);
    }
    const denied = await new Client(room).ask(incrementalAlterConfigs, 1, {
      ...{ resources, validateOnly: true },
    });
    assert.equal(denied.responses[0]!.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
    const configurationKeys = ['connections.max.idle.ms'];
    const described = await root.ask(describeConfigs, 4, {
      resources: [{ resourceType: BROKER, resourceName, configurationKeys }],
    });
    const told = described.results[0]!.configs.map(({ value, readOnly }) => [value, readOnly]);
    assert.deepEqual(told, resourceName === '' ? [] : [['123000', true]]);
  }
  await room.close();
  await host.close();
});

test('what topics begin with changes at run time, for this broker or all, and outlives a restart K80 K42', async () => {
  const host = await openTestHost();
  let room = openRoom(host);
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
  let root = new Client(room, { peer: { identity } });
  const alter = async (resourceName: string, name: string, configOperation: number, value = '') => {
    const resources = [
      { resourceType: BROKER, resourceName, configs: [{ name, configOperation, value }] },
    ];
    const { responses } = await root.ask(incrementalAlterConfigs, 1, {
      ...{ resources, validateOnly: false },
    });
    return responses[0]!.errorCode;
  };
  const shown = async (resourceType: number, resourceName: string, name: string) => {
    const resources = [{ resourceType, resourceName, configurationKeys: [name] }];
    const { results } = await root.ask(describeConfigs, 4, { resources, includeSynonyms: true });
    const found = results[0]!.configs[0];
    return found && [found.value, ...found.synonyms.map(({ source }) => source)];
  };
  const before = await newTopic(root);
  assert.equal(await alter('', 'log.retention.ms', SET, '5000'), KAFKA.NONE);
  assert.equal(await alter('0', 'log.cleanup.policy', APPEND, 'compact'), KAFKA.NONE);
  assert.equal(await alter('', MIN_INSYNC, SET, '2'), KAFKA.NONE);
  const after = await newTopic(root, 1, [{ name: MIN_INSYNC, value: '1' }]);
  const { settings } = host.broker.streams.get(after.name)!;
  assert.deepEqual([settings.retentionMs, settings.cleanup], [5000, 'delete,compact']);
  assert.equal(settings.config[MIN_INSYNC], '1');
  assert.equal(host.broker.streams.get(before.name)!.settings.cleanup, 'delete');
  await room.close();
  room = openRoom(host);
  root = new Client(room, { peer: { identity } });
  assert.deepEqual(await shown(BROKER, '0', 'log.retention.ms'), ['5000', 3, 5]);
  assert.deepEqual(await shown(BROKER, '', 'log.retention.ms'), ['5000', 3]);
  assert.equal(await shown(BROKER, '', 'log.cleanup.policy'), undefined);
  assert.deepEqual(await shown(BROKER, '0', 'log.cleanup.policy'), ['delete,compact', 2, 5]);
  assert.deepEqual(await shown(TOPIC, after.name, 'cleanup.policy'), ['delete,compact', 2, 5]);
  assert.deepEqual(await shown(TOPIC, before.name, 'cleanup.policy'), ['delete', 1, 2, 5]);
  const { name } = await newTopic(root);
  assert.equal(host.broker.streams.get(name)!.settings.config[MIN_INSYNC], '2');
  assert.equal(await alter('0', 'log.cleanup.policy', DELETE), KAFKA.NONE);
  assert.deepEqual(await shown(TOPIC, before.name, 'cleanup.policy'), ['delete', 5]);
  await room.close();
  await host.close();
});

test('what tunes what is not here may be set and does nothing; nonsense is refused K80', async () => {
  const host = await openTestHost();
  const room = openRoom(host);
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
  const root = new Client(room, { peer: { identity } });
  const code = async (resourceName: string, name: string, value: string): Promise<number> => {
    const configs = [{ name, value }];
    const resources = [{ resourceType: BROKER, resourceName, configs }];
    const { responses } = await root.ask(alterConfigs, 2, { resources, validateOnly: false });
    return responses[0]!.errorCode;
  };
  assert.equal(await code('0', 'leader.replication.throttled.rate', '1000'), KAFKA.NONE);
  assert.equal(await code('', 'sasl.kerberos.min.time.before.relogin', '58000'), KAFKA.NONE);
  assert.equal(await code('1', 'log.retention.ms', '1'), KAFKA.INVALID_REQUEST);
  assert.equal(await code('0', 'log.retention.ms', 'long'), KAFKA.INVALID_CONFIG);
  assert.equal(await code('0', 'retention.ms', '1'), KAFKA.INVALID_REQUEST, 'a name of topics');
  assert.equal(room.dynamicConfigs.topicDefaults.retentionMs, 604_800_000);
  await room.close();
  await host.close();
});
