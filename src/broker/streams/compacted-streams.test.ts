import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { addressOfText } from '../addresses/address.ts';
import { Rig } from '../broker.rig.ts';
import { packBatch } from '../records/record-batch.fixture.ts';
import { readRecords } from '../records/record-batch.ts';

describe('compacted streams', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.open();
  });

  afterEach(() => rig.close());

  async function keysOf(stream: string): Promise<string[]> {
    const { log } = rig.broker.streams.get(stream)!.partitions[0]!;
    const batches = await log.read(0, 1 << 20);
    return batches
      .flatMap(({ bytes, baseOffset }) => readRecords(bytes, baseOffset, 1 << 20))
      .map(({ key }) => String(key));
  }

  describe('a compacted stream', () => {
    it('a message without a key has its address as key; its readers see none K40', async () => {
      rig.broker.streams.create('flat', { cleanup: 'compact' });
      rig.broker.streams.create('sensors', { cleanup: 'compact,delete' });
      rig.broker.streams.create('plain', {});
      const rule = { stream: 'sensors' } as const;
      await rig.publish('flat', '1');
      await rig.publish('flat', '2', { key: Buffer.from('own') });
      await rig.publish(addressOfText('sensors/1/temp'), '3', {}, rule);
      await rig.publish('plain', '4');
      assert.deepEqual(await keysOf('flat'), ['flat', 'own']);
      assert.deepEqual(await keysOf('sensors'), ['sensors/1/temp']);
      assert.deepEqual(await keysOf('plain'), ['null']);
      const partition = rig.broker.streams.get('flat')!.partitions[0]!;
      const messages = await partition.readMessages(0, 1 << 20);
      assert.deepEqual(
        messages.map(({ key }) => key?.toString() ?? null),
        [null, 'own'],
      );
    });

    it('has its compaction set at creation, on change, with new partitions and after a restart K40', async () => {
      const settings = { cleanup: 'compact', compactMinLagMs: 5 } as const;
      const stream = rig.broker.streams.create('s', settings);
      rig.broker.streams.addPartitions(stream, 2);
      const lags = () =>
        rig.broker.streams
          .get('s')!
          .partitions.map(({ log }) => log.upkeep.compaction?.minLagMs ?? null);
      assert.deepEqual(lags(), [5, 5]);
      rig.broker.streams.change(stream, { compactMinLagMs: 7 });
      assert.deepEqual(lags(), [7, 7]);
      await rig.broker.streams.durable();
      await rig.crash();
      assert.deepEqual(lags(), [7, 7]);
      rig.broker.streams.change(rig.broker.streams.get('s')!, { cleanup: 'delete' });
      assert.deepEqual(lags(), [null, null]);
    });

    it('settings that do not fit together are refused K42', () => {
      const { streams } = rig.broker;
      const make = (name: string, more: object) => () => {
        streams.create(name, { cleanup: 'compact', ...more });
      };
      assert.throws(make('a', { durability: 'memory' }), { code: 'invalid-argument' });
      const lags = { compactMinLagMs: 2, compactMaxLagMs: 1 };
      assert.throws(make('b', lags), { code: 'invalid-argument' });
      const plain = streams.create('c', lags);
      assert.throws(() => streams.change(plain, { cleanup: 'compact' }), {
        code: 'invalid-argument',
      });
    });
  });

  describe('a stream with append time', () => {
    it('gives every record the time of its append, whoever sent it K25', async () => {
      const stream = rig.broker.streams.create('s', { appendTime: true });
      await rig.publish('s', '1', { timestampMs: 5 });
      const partition = stream.partitions[0]!;
      const batch = packBatch([{ key: 'k', value: '2', timeMs: 7 }], { codec: 'zstd' });
      rig.nowMs += 10;
      const facts = {
        ...{ kind: 'data' as const, count: 1, maxTimestampMs: 7, serverPacked: false, origin: 2 },
        ...{ principal: 0, producerId: -1, producerEpoch: -1, baseSequence: -1, attributes: 4 },
      };
      await new Promise<void>((resolve, reject) => {
        rig.broker.appendBatch(partition, batch, facts, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      });
      partition.forget();
      const messages = [
        ...(await partition.readMessages(0, 1)),
        ...(await partition.readMessages(1, 1)),
      ];
      assert.deepEqual(
        messages.map(({ timestampMs }) => timestampMs),
        [rig.nowMs - 10, rig.nowMs],
      );
      const found = await partition.findByTime(rig.nowMs);
      assert.deepEqual(found, { offset: 1, timestampMs: rig.nowMs });
    });
  });
});
