import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestHost } from '../../../test/contract/test-host.ts';
import { Client, openRoom } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { FEATURES } from './features.ts';
import { updateFeatures } from './messages/57-update-features.ts';

test('a feature has the level that it has: no other one can be set K5 K157', async () => {
  const host = await openTestHost();
  const room = openRoom(host);
  await host.broker.principals.setUser('root', 'secret', { superuser: true });
  const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
  const root = new Client(room, { peer: { identity } });
  const update = (version: number, updates: readonly (readonly [string, number])[], by = root) =>
    by.ask(updateFeatures, version, {
      featureUpdates: updates.map(([feature, maxVersionLevel]) => ({ feature, maxVersionLevel })),
    });
  const { name, level } = FEATURES[0]!;
  for (const version of [0, 1]) {
    const { errorCode, results } = await update(version, [
      [name, level],
      ['metadata.version', 25],
    ]);
    assert.equal(errorCode, KAFKA.NONE);
    assert.deepEqual(
      results.map((one) => one.errorCode),
      [KAFKA.NONE, KAFKA.INVALID_UPDATE_VERSION],
    );
  }
  assert.equal((await update(2, [[name, level]])).errorCode, KAFKA.NONE);
  const lower = await update(2, [[name, level - 1]]);
  assert.equal(lower.errorCode, KAFKA.INVALID_UPDATE_VERSION);
  assert.match(lower.errorMessage!, new RegExp(name));
  assert.equal((await update(2, [])).errorCode, KAFKA.INVALID_REQUEST);
  const anonymous = new Client(room);
  const denied = await update(2, [[name, level]], anonymous);
  assert.equal(denied.errorCode, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
  await room.close();
  await host.close();
});
