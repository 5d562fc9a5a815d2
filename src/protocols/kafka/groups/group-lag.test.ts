import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualTimers, openTestHost } from '../../../../test/contract/test-host.ts';
import { batchOf, Client, openRoom, produceTo } from '../client.fixture.ts';
import { offsetCommit } from '../messages/08-offset-commit.ts';

test('the metrics tell how far groups are behind, in records and in seconds K63', async () => {
  const time = new ManualTimers();
  const host = await openTestHost({ clock: time.clock, timers: time });
  const room = openRoom(host);
  const client = new Client(room);
  host.broker.streams.create('orders', {});
  const commit = (committedOffset: number) =>
    client.ask(offsetCommit, 8, {
      ...{ groupId: 'g', memberId: '', generationIdOrMemberEpoch: -1 },
      topics: [
        {
          name: 'orders',
          partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: '' }],
        },
      ],
    });
  const shown = async (name: string): Promise<Record<string, number>> => {
    // What is not known yet is looked up, and known when metrics are read again.
    for (const _ of host.metrics.read());
    await new Promise((resolve) => setImmediate(resolve));
    for (const family of host.metrics.read()) {
      if (family.name !== name) continue;
      return Object.fromEntries(
        family.series.map(({ labels, instrument }) => [
          labels['group'],
          'value' in instrument ? instrument.value : Number.NaN,
        ]),
      );
    }
    return {};
  };
  await produceTo(client, 'orders', batchOf(['a', 'b']));
  time.pass(60_000);
  await produceTo(client, 'orders', batchOf(['c']));
  assert.deepEqual(await shown('robustmq_kafka_group_lag_records'), {});
  await commit(0);
  assert.deepEqual(await shown('robustmq_kafka_group_lag_records'), { g: 3 });
  assert.deepEqual(await shown('robustmq_kafka_group_lag_seconds'), { g: 60 });
  time.pass(5_000);
  await commit(2);
  assert.deepEqual(await shown('robustmq_kafka_group_lag_seconds'), { g: 5 });
  await commit(3);
  assert.deepEqual(await shown('robustmq_kafka_group_lag_records'), { g: 0 });
  assert.deepEqual(await shown('robustmq_kafka_group_lag_seconds'), { g: 0 });
  await room.close();
  await host.close();
});

test('the metrics count the producers that partitions remember K28', async () => {
  const host = await openTestHost();
  const room = openRoom(host);
  const client = new Client(room);
  const producers = () => {
    for (const { name, series } of host.metrics.read()) {
      const instrument = name === 'robustmq_kafka_producers' ? series[0]?.instrument : undefined;
      if (instrument !== undefined && 'value' in instrument) return instrument.value;
    }
    return Number.NaN;
  };
  for (const name of ['one', 'two']) host.broker.streams.create(name, {});
  assert.equal(producers(), 0);
  for (const producerId of [7, 8]) {
    for (const name of producerId === 7 ? ['one', 'two'] : ['two']) {
      const batch = batchOf(['a'], { producerId, producerEpoch: 0, baseSequence: 0 });
      await produceTo(client, name, batch);
    }
  }
  await produceTo(client, 'one', batchOf(['of nobody']));
  assert.equal(producers(), 3);
  await room.close();
  await host.close();
});
