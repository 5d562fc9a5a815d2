/** Compacted topics and log append time, as far as the protocol shows them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import { batchOf, Client, fetchBody, newTopic, openRoom, produceTo } from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { fetch } from './messages/01-fetch.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { deleteRecords } from './messages/21-delete-records.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import type { Room } from './room.ts';

const TOPIC = 2;
const OPERATIONS = { set: 0, remove: 1, append: 2, subtract: 3 } as const;

let host: TestHost;
let room: Room;
before(async () => {
  host = await openTestHost();
  room = openRoom(host);
});
after(async () => {
  await room.close();
  await host.close();
});

const settings = (name: string) => host.broker.streams.get(name)!.settings;

async function alter(
  client: Client,
  name: string,
  operation: keyof typeof OPERATIONS,
  key: string,
  value: string | null,
): Promise<number> {
  const configs = [{ name: key, configOperation: OPERATIONS[operation], value }];
  const resources = [{ resourceType: TOPIC, resourceName: name, configs }];
  const body = { resources, validateOnly: false };
  return (await client.ask(incrementalAlterConfigs, 1, body)).responses[0]!.errorCode;
}

async function shown(client: Client, name: string): Promise<Map<string, [string | null, boolean]>> {
  const resources = [{ resourceType: TOPIC, resourceName: name, configurationKeys: null }];
  const { results } = await client.ask(describeConfigs, 1, { resources });
  return new Map(
    results[0]!.configs.map(({ name: key, value, readOnly }) => [key, [value, readOnly]]),
  );
}

test('every cleanup policy is taken, kept and shown; a wrong one is refused K40 K41 K42', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  assert.equal((await shown(client, name)).get('cleanup.policy')![0], 'delete');
  for (const policy of ['compact', 'compact,delete', 'delete,compact', '', 'delete']) {
    assert.equal(await alter(client, name, 'set', 'cleanup.policy', policy), KAFKA.NONE);
    assert.deepEqual((await shown(client, name)).get('cleanup.policy'), [policy, false]);
  }
  for (const policy of ['keep', 'delete,delete', 'compact,', 'Compact']) {
    assert.equal(await alter(client, name, 'set', 'cleanup.policy', policy), KAFKA.INVALID_CONFIG);
  }
  assert.equal(await alter(client, name, 'append', 'cleanup.policy', 'compact'), KAFKA.NONE);
  assert.equal(settings(name).cleanup, 'delete,compact');
  assert.equal(await alter(client, name, 'subtract', 'cleanup.policy', 'delete'), KAFKA.NONE);
  assert.equal(settings(name).cleanup, 'compact');
  assert.equal(await alter(client, name, 'remove', 'cleanup.policy', null), KAFKA.NONE);
  assert.equal(settings(name).cleanup, 'delete');
});

test('the settings of compaction are enforced ones, with their bounds K40 K42', async () => {
  const client = new Client(room);
  const { name } = await newTopic(client);
  const cases: [key: string, preset: string, value: string, ...wrong: string[]][] = [
    ['min.compaction.lag.ms', '0', '5', '-1', 'x'],
    ['max.compaction.lag.ms', '9223372036854775807', '10', '0'],
    ['delete.retention.ms', '86400000', '0', '-1'],
    ['min.cleanable.dirty.ratio', '0.5', '0.01', '1.1', '-0.1', '', '0x1'],
    ['segment.ms', '604800000', '100', '0'],
    ['segment.bytes', '1073741824', '1048576', '1048575'],
  ];
  for (const [key, preset, value, ...wrong] of cases) {
    assert.deepEqual((await shown(client, name)).get(key), [preset, false], key);
    for (const one of wrong) {
      assert.equal(
        await alter(client, name, 'set', key, one),
        KAFKA.INVALID_CONFIG,
        `${key} ${one}`,
      );
    }
    assert.equal(await alter(client, name, 'set', key, value), KAFKA.NONE);
    assert.equal((await shown(client, name)).get(key)![0], value);
  }
  assert.equal(await alter(client, name, 'set', 'cleanup.policy', 'compact'), KAFKA.NONE);
  const { upkeep } = host.broker.streams.get(name)!.partitions[0]!.log;
  const { minLagMs, maxLagMs, tombstoneMs, dirtyRatio } = upkeep.compaction!;
  assert.deepEqual([minLagMs, maxLagMs, tombstoneMs, dirtyRatio], [5, 10, 0, 0.01]);
  assert.equal(
    await alter(client, name, 'set', 'min.compaction.lag.ms', '11'),
    KAFKA.INVALID_CONFIG,
  );
  assert.equal(await alter(client, name, 'set', 'cleanup.policy', 'delete'), KAFKA.NONE);
  assert.equal(host.broker.streams.get(name)!.partitions[0]!.log.upkeep.compaction, null);
});

test('a compacted topic in memory is refused, it would not be compacted K42', async () => {
  const client = new Client(room);
  const configs = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'robustmq.durability', value: 'memory' },
  ];
  const wanted = { name: 'in-memory', numPartitions: 1, replicationFactor: 1, assignments: [] };
  const { topics } = await client.ask(createTopics, 7, { topics: [{ ...wanted, configs }] });
  assert.equal(topics[0]!.errorCode, KAFKA.INVALID_CONFIG);
});

test('a compacted topic takes no record without a key, and says which it was K23 K26 K40', async () => {
  const client = new Client(room);
  const configs = [{ name: 'cleanup.policy', value: 'compact' }];
  const { name } = await newTopic(client, 1, configs);
  const keyed = await produceTo(client, name, batchOf(['a', 'b'], { keys: ['k', ''] }));
  assert.deepEqual([keyed.errorCode, keyed.baseOffset], [KAFKA.NONE, 0]);
  const mixed = batchOf(['a', 'b', 'c'], { keys: [null, 'k', null] });
  const refused = await produceTo(client, name, mixed);
  assert.deepEqual([refused.errorCode, refused.baseOffset], [KAFKA.INVALID_RECORD, -1]);
  assert.deepEqual(
    refused.recordErrors.map(({ batchIndex }) => batchIndex),
    [0, 2],
  );
  assert.match(refused.recordErrors[0]!.batchIndexErrorMessage!, /without a key/);
  assert.equal(host.broker.streams.get(name)!.partitions[0]!.highWatermark, 2);
  const garbage = await produceTo(client, name, batchOf(['x'], { keys: ['k'], attributes: 1 }));
  assert.equal(garbage.errorCode, KAFKA.INVALID_RECORD, 'it says gzip and is not');
});

test('records of a topic that is only compacted cannot be deleted by offset K39 K40', async () => {
  const client = new Client(room);
  const ask = async (policy: string): Promise<number> => {
    const { name } = await newTopic(client, 1, [{ name: 'cleanup.policy', value: policy }]);
    await produceTo(client, name, batchOf(['a', 'b'], { keys: ['k', 'l'] }));
    const topics = [{ name, partitions: [{ partitionIndex: 0, offset: 1 }] }];
    const answer = await client.ask(deleteRecords, 2, { topics, timeoutMs: 1000 });
    return answer.topics[0]!.partitions[0]!.errorCode;
  };
  assert.equal(await ask('compact'), KAFKA.POLICY_VIOLATION);
  for (const policy of ['delete', 'compact,delete', '']) {
    assert.equal(await ask(policy), KAFKA.NONE, policy);
  }
});

test('a topic with LogAppendTime gives each batch the time of its append K25', async () => {
  const client = new Client(room);
  const configs = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }];
  const { name } = await newTopic(client, 1, configs);
  const fromMs = host.clock.nowMs();
  // A time that a topic with CreateTime would refuse.
  const batch = batchOf(['a', 'b'], { timestampMs: 4_000_000_000_000 });
  const answer = await produceTo(client, name, batch);
  assert.equal(answer.errorCode, KAFKA.NONE);
  assert.ok(answer.logAppendTimeMs >= fromMs && answer.logAppendTimeMs <= host.clock.nowMs());
  const got = await client.ask(fetch, 11, fetchBody(name, 0));
  const stored = got.responses[0]!.partitions[0]!.records!;
  assert.equal(stored.readInt16BE(21), 0x08);
  assert.equal(Number(stored.readBigInt64BE(35)), answer.logAppendTimeMs);
  const [record] = await host.broker.streams.get(name)!.partitions[0]!.readMessages(0, 1000);
  assert.equal(record!.timestampMs, answer.logAppendTimeMs);
  assert.equal((await shown(client, name)).get('message.timestamp.type')![0], 'LogAppendTime');
});
