import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { Client, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { alterConfigs } from './messages/33-alter-configs.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';

const BROKER = 4;

test('configs of the broker are told as they are, and refused with their names when one would change them K80 K14', async () => {
  const host = await openTestHost();
  const room = openRoom(host, { idleTimeout: 123_000 });
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
  const root = new Client(room, { peer: { identity } });
  const configs = [{ name: 'num.io.threads', configOperation: 0, value: '8' }];
  for (const resourceName of ['', '0']) {
    const resources = [{ resourceType: BROKER, resourceName, configs }];
    for (const validateOnly of [true, false]) {
      const asked = { resources, validateOnly };
      const { responses } = await root.ask(incrementalAlterConfigs, 1, asked);
      assert.equal(responses[0]!.errorCode, KAFKA.INVALID_REQUEST);
      assert.match(responses[0]!.errorMessage!, /num\.io\.threads/);
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
    const [idle] = described.results[0]!.configs;
    assert.deepEqual([idle!.value, idle!.readOnly], ['123000', true]);
  }
  await room.close();
  await host.close();
});
