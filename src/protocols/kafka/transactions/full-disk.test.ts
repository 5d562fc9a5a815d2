import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { BrokerError } from '#kit';
import { openTestHost } from '../../../../test/contract/test-host.ts';
import { batchOf, Client, newTopic, openRoom, produceTo } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { produce } from '../messages/00-produce.ts';
import { initProducerId } from '../messages/22-init-producer-id.ts';
import { endTxn } from '../messages/26-end-txn.ts';

it('on a full disk the end of a transaction waits for room, and is carried out then K69', async () => {
  const host = await openTestHost();
  const room = openRoom(host);
  const client = new Client(room);
  const { name } = await newTopic(client);
  const id = 'full';
  const asked = { transactionalId: id, transactionTimeoutMs: 60_000 };
  const { producerId } = await client.ask(initProducerId, 5, asked);
  const shape = { attributes: 0x10, producerId, producerEpoch: 0, baseSequence: 0 };
  await client.ask(produce, 12, {
    ...{ transactionalId: id, acks: -1, timeoutMs: 1000 },
    topicData: [{ name, partitionData: [{ index: 0, records: batchOf(['x'], shape) }] }],
  });
  const { files } = host;
  files.capacityBytes = files.usedBytes;
  // The partition itself, so that its own owner of slots has no room.
  assert.equal(await fill(client, name), KAFKA.KAFKA_STORAGE_ERROR);
  const ending = { transactionalId: id, producerId, producerEpoch: 0, committed: true };
  client.send(endTxn, 5, ending);
  const partition = host.broker.streams.get(name)!.partitions[0]!;
  const { endOffset } = partition;
  const other = new Client(room);
  // Whoever asks again meanwhile is told to come later.
  let meanwhile: number = KAFKA.NONE;
  while (!room.transactions.find(id)!.isPrepared) await new Promise(setImmediate);
  ({ errorCode: meanwhile } = await other.ask(endTxn, 5, ending));
  assert.equal(meanwhile, KAFKA.CONCURRENT_TRANSACTIONS);
  assert.equal(partition.stableOffset, 0);
  files.capacityBytes = Number.POSITIVE_INFINITY;
  const ended = await client.receive(endTxn, 5);
  assert.deepEqual([ended.errorCode, ended.producerEpoch], [KAFKA.NONE, 1]);
  assert.equal(partition.stableOffset, endOffset + 1);
  await room.close();
  await host.close();
});

it('on a full disk a decision about a transaction waits until it can be stored', async () => {
  const host = await openTestHost();
  const room = openRoom(host);
  const client = new Client(room);
  const { name } = await newTopic(client);
  const id = 'undecided';
  const asked = { transactionalId: id, transactionTimeoutMs: 60_000 };
  const { producerId } = await client.ask(initProducerId, 5, asked);
  const shape = { attributes: 0x10, producerId, producerEpoch: 0, baseSequence: 0 };
  await client.ask(produce, 12, {
    ...{ transactionalId: id, acks: -1, timeoutMs: 1000 },
    topicData: [{ name, partitionData: [{ index: 0, records: batchOf(['x'], shape) }] }],
  });
  const { files, broker } = host;
  const { state } = broker;
  const stored = (): Promise<BrokerError | null> => new Promise((done) => state.committed(done));
  files.capacityBytes = files.usedBytes;
  for (let n = 0; n === 0 || (await stored()) === null; n++) {
    state.put('test.filling', String(n), Buffer.alloc(60_000, 'x'), id);
  }
  client.send(endTxn, 5, { transactionalId: id, producerId, producerEpoch: 0, committed: true });
  while (!room.transactions.find(id)!.isPrepared) await new Promise(setImmediate);
  assert.equal((await stored())?.code, 'storage-full');
  files.capacityBytes = Number.POSITIVE_INFINITY;
  const ended = await client.receive(endTxn, 5);
  assert.deepEqual([ended.errorCode, ended.producerEpoch], [KAFKA.NONE, 1]);
  const { errorCode, producerEpoch } = await client.ask(initProducerId, 5, asked);
  assert.deepEqual([errorCode, producerEpoch], [KAFKA.NONE, 2]);
  await room.close();
  await host.close();
});

async function fill(client: Client, name: string): Promise<number> {
  for (;;) {
    const { errorCode } = await produceTo(client, name, batchOf(['x'.repeat(100_000)]));
    if (errorCode !== KAFKA.NONE) return errorCode;
  }
}
