import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ManualTimers, openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { batchOf, Client, fetchBody, newTopic, openRoom, produceTo } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { produce } from '../messages/00-produce.ts';
import { fetch } from '../messages/01-fetch.ts';
import { listOffsets } from '../messages/02-list-offsets.ts';
import { offsetFetch } from '../messages/09-offset-fetch.ts';
import { saslHandshake } from '../messages/17-sasl-handshake.ts';
import { apiVersions } from '../messages/18-api-versions.ts';
import { initProducerId } from '../messages/22-init-producer-id.ts';
import { addPartitionsToTxn } from '../messages/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from '../messages/25-add-offsets-to-txn.ts';
import { endTxn } from '../messages/26-end-txn.ts';
import { writeTxnMarkers } from '../messages/27-write-txn-markers.ts';
import { txnOffsetCommit } from '../messages/28-txn-offset-commit.ts';
import { saslAuthenticate } from '../messages/36-sasl-authenticate.ts';
import { describeProducers } from '../messages/61-describe-producers.ts';
import { describeTransactions } from '../messages/65-describe-transactions.ts';
import { listTransactions } from '../messages/66-list-transactions.ts';
import type { Room } from '../room.ts';

const TRANSACTIONAL = 0x10;
const COMMITTED = { isolationLevel: 1 };

interface Producer {
  readonly id: string;
  producerId: number;
  producerEpoch: number;
  sequence: number;
}

let count = 0;

describe('transactions', () => {
  let host: TestHost;
  let room: Room;
  let client: Client;
  const timers = new ManualTimers();

  before(async () => {
    host = await openTestHost({ timers });
    room = openRoom(host);
    client = new Client(room);
  });
  after(async () => {
    await room.close();
    await host.close();
  });

  async function init(id = `tx-${++count}`, expected: object = {}): Promise<Producer> {
    const body = { transactionalId: id, transactionTimeoutMs: 60_000, ...expected };
    const { errorCode, producerId, producerEpoch } = await client.ask(initProducerId, 5, body);
    assert.equal(errorCode, KAFKA.NONE);
    return { id, producerId, producerEpoch, sequence: 0 };
  }

  /** Version 12 adds the partition by writing, older ones ask before. */
  async function write(producer: Producer, name: string, values: string[], version = 12) {
    const { id: transactionalId, producerId, producerEpoch, sequence: baseSequence } = producer;
    const shape = { attributes: TRANSACTIONAL, producerId, producerEpoch, baseSequence };
    const records = batchOf(values, shape);
    const { responses } = await client.ask(produce, version, {
      ...{ transactionalId, acks: -1, timeoutMs: 1000 },
      topicData: [{ name, partitionData: [{ index: 0, records }] }],
    });
    const answer = responses[0]!.partitionResponses[0]!;
    if (answer.errorCode === KAFKA.NONE) producer.sequence += values.length;
    return answer;
  }

  async function add({ id, producerId, producerEpoch }: Producer, name: string, version = 3) {
    const { resultsByTopicV3AndBelow: results } = await client.ask(addPartitionsToTxn, version, {
      transactions: [],
      v3AndBelowTransactionalId: id,
      v3AndBelowProducerId: producerId,
      v3AndBelowProducerEpoch: producerEpoch,
      v3AndBelowTopics: [{ name, partitions: [0] }],
    });
    return results[0]!.resultsByPartition[0]!.partitionErrorCode;
  }

  async function end(producer: Producer, committed: boolean, version = 5) {
    const { id: transactionalId, producerId, producerEpoch } = producer;
    const body = { transactionalId, producerId, producerEpoch, committed };
    const answer = await client.ask(endTxn, version, body);
    if (version >= 5 && answer.errorCode === KAFKA.NONE) {
      if (answer.producerEpoch !== producer.producerEpoch) producer.sequence = 0;
      producer.producerId = answer.producerId;
      producer.producerEpoch = answer.producerEpoch;
    }
    return answer.errorCode;
  }

  async function read(name: string, offset = 0, more: object = COMMITTED) {
    const { responses } = await client.ask(fetch, 11, fetchBody(name, offset, more));
    const { records, lastStableOffset, highWatermark, abortedTransactions, errorCode } =
      responses[0]!.partitions[0]!;
    assert.equal(errorCode, KAFKA.NONE);
    const aborted = (abortedTransactions ?? []).map(({ producerId, firstOffset }) => [
      producerId,
      firstOffset,
    ]);
    return { bytes: records?.length ?? 0, lastStableOffset, highWatermark, aborted };
  }

  async function latest(name: string, isolationLevel: number): Promise<number> {
    const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp: -1 }] }];
    const answer = await client.ask(listOffsets, 5, { replicaId: -1, isolationLevel, topics });
    return answer.topics[0]!.partitions[0]!.offset;
  }

  it('version 2: writing begins one, its end raises the epoch, committed readers see it then K70 K71 K126', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    assert.equal((await write(producer, name, ['a', 'b'])).errorCode, KAFKA.NONE);
    await produceTo(client, name, batchOf(['plain']));
    const open = await read(name);
    assert.deepEqual([open.bytes, open.lastStableOffset, open.highWatermark], [0, 0, 3]);
    assert.deepEqual([await latest(name, 0), await latest(name, 1)], [3, 0]);
    assert.ok((await read(name, 0, {})).bytes > 0);
    assert.equal(await end(producer, true), KAFKA.NONE);
    assert.equal(producer.producerEpoch, 1);
    const ended = await read(name);
    assert.ok(ended.bytes > 0);
    assert.deepEqual([ended.lastStableOffset, ended.aborted], [4, []]);
    assert.equal(await latest(name, 1), 4);
    const gap = await write({ ...producer, sequence: 4 }, name, ['gap']);
    assert.equal(gap.errorCode, KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert.equal((await write(producer, name, ['c'])).errorCode, KAFKA.NONE);
    assert.equal(await end(producer, false), KAFKA.NONE);
    const aborted = await read(name);
    assert.deepEqual(aborted.aborted, [[producer.producerId, 4]]);
    assert.deepEqual((await read(name, 6)).aborted, []);
    assert.deepEqual((await read(name, 0, {})).aborted, []);
  });

  it('the marker is a control batch with the epoch of the end K69', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    await write(producer, name, ['a']);
    await end(producer, true);
    const { responses } = await client.ask(fetch, 11, fetchBody(name, 1));
    const marker = responses[0]!.partitions[0]!.records!;
    assert.equal(marker.readInt16BE(21), 0x30);
    assert.equal(marker.readBigInt64BE(43), BigInt(producer.producerId));
    assert.equal(marker.readInt16BE(51), 1);
    assert.equal(marker.readInt32BE(57), 1);
    // One record: length, attributes, deltas, key length 4, version 0, type 1 (commit).
    assert.deepEqual([...marker.subarray(65, 70)], [8, 0, 0, 0, 1]);
  });

  it('version 1: partitions are added first, the epoch stays, sequences go on K69 K124 K126', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    const refused = await write(producer, name, ['x'], 10);
    assert.equal(refused.errorCode, KAFKA.INVALID_TXN_STATE);
    assert.equal((await write(producer, name, ['x'], 11)).errorCode, KAFKA.TRANSACTION_ABORTABLE);
    for (let round = 0; round < 3; round++) {
      assert.equal(await add(producer, name), KAFKA.NONE);
      assert.equal((await write(producer, name, ['a', 'b'], 11)).errorCode, KAFKA.NONE);
      assert.equal(await end(producer, round !== 1, 4), KAFKA.NONE);
    }
    assert.equal(producer.producerEpoch, 0);
    assert.deepEqual((await read(name)).aborted, [[producer.producerId, 3]]);
    // Said again, since the answer may have been lost.
    assert.equal(await end(producer, true, 4), KAFKA.NONE);
    assert.equal(await end(producer, false, 4), KAFKA.INVALID_TXN_STATE);
  });

  it('who takes the id fences the one before, whose transaction is aborted K69', async () => {
    const { name } = await newTopic(client);
    const old = await init();
    await write(old, name, ['lost']);
    const fresh = await init(old.id);
    assert.ok(fresh.producerEpoch > old.producerEpoch);
    assert.equal(fresh.producerId, old.producerId);
    assert.equal((await read(name)).aborted.length, 1);
    assert.equal((await write(old, name, ['x'])).errorCode, KAFKA.INVALID_PRODUCER_EPOCH);
    assert.equal(await end(old, true, 5), KAFKA.PRODUCER_FENCED);
    assert.equal(await end(old, true, 1), KAFKA.INVALID_PRODUCER_EPOCH);
    assert.equal(await add(old, name, 2), KAFKA.PRODUCER_FENCED);
    assert.equal(await add(old, name, 1), KAFKA.INVALID_PRODUCER_EPOCH);
    assert.equal((await write(fresh, name, ['y'])).errorCode, KAFKA.NONE);
    const zombie = { producerId: old.producerId, producerEpoch: old.producerEpoch };
    const body = { transactionalId: old.id, transactionTimeoutMs: 1000, ...zombie };
    assert.equal((await client.ask(initProducerId, 5, body)).errorCode, KAFKA.PRODUCER_FENCED);
    assert.equal(
      (await client.ask(initProducerId, 3, body)).errorCode,
      KAFKA.INVALID_PRODUCER_EPOCH,
    );
    assert.equal(await end(fresh, true), KAFKA.NONE);
  });

  it('a producer that raises its epoch itself may ask twice K69', async () => {
    const first = await init();
    const { id, producerId, producerEpoch } = first;
    const second = await init(id, { producerId, producerEpoch });
    const again = await init(id, { producerId, producerEpoch });
    assert.deepEqual(again, second);
    assert.equal(second.producerEpoch, producerEpoch + 1);
  });

  it('what is asked wrongly is refused, each with its code K69', async () => {
    const ask = (transactionalId: string | null, transactionTimeoutMs: number) =>
      client.ask(initProducerId, 5, { transactionalId, transactionTimeoutMs });
    assert.equal((await ask('', 1000)).errorCode, KAFKA.INVALID_REQUEST);
    const tooLong = await ask('t', 15 * 60_000 + 1);
    assert.equal(tooLong.errorCode, KAFKA.INVALID_TRANSACTION_TIMEOUT);
    const nobody = { id: 'nobody', producerId: 999_999, producerEpoch: 0, sequence: 0 };
    assert.equal(await end(nobody, true), KAFKA.INVALID_PRODUCER_ID_MAPPING);
    const { name } = await newTopic(client);
    assert.equal(await add(nobody, name), KAFKA.INVALID_PRODUCER_ID_MAPPING);
    const idle = await init();
    assert.equal(await end(idle, true), KAFKA.INVALID_TXN_STATE);
    assert.equal(await end(idle, false), KAFKA.NONE);
    assert.equal(idle.producerEpoch, 1);
    assert.equal(await add(idle, 'no-such-topic'), KAFKA.UNKNOWN_TOPIC_OR_PARTITION);
    const shape = { attributes: TRANSACTIONAL, producerId: 5, producerEpoch: 0, baseSequence: 0 };
    const without = await produceTo(client, name, batchOf(['x'], shape));
    assert.equal(without.errorCode, KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  });

  it('offsets of a group are seen when the transaction is committed, and unstable before K63 K69 K125 K128', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    const { id: transactionalId } = producer;
    const groupId = `group-${transactionalId}`;
    const commit = async (offset: number, version: number) => {
      const { producerId, producerEpoch } = producer;
      const one = { partitionIndex: 0, committedOffset: offset, committedMetadata: 'm' };
      const { topics } = await client.ask(txnOffsetCommit, version, {
        ...{ transactionalId, groupId, producerId, producerEpoch },
        topics: [{ name, partitions: [one] }],
      });
      return topics[0]!.partitions[0]!.errorCode;
    };
    const committed = async (requireStable: boolean) => {
      const topics = [{ name, partitionIndexes: [0] }];
      const answer = await client.ask(offsetFetch, 7, { groupId, topics, requireStable });
      const { committedOffset, errorCode } = answer.topics[0]!.partitions[0]!;
      return [committedOffset, errorCode];
    };
    assert.equal(await commit(5, 3), KAFKA.INVALID_TXN_STATE);
    assert.equal(await commit(5, 5), KAFKA.NONE);
    assert.deepEqual(await committed(false), [-1, KAFKA.NONE]);
    assert.deepEqual(await committed(true), [-1, KAFKA.UNSTABLE_OFFSET_COMMIT]);
    assert.equal(await end(producer, true), KAFKA.NONE);
    assert.deepEqual(await committed(true), [5, KAFKA.NONE]);
    assert.equal(await commit(9, 5), KAFKA.NONE);
    assert.equal(await end(producer, false), KAFKA.NONE);
    assert.deepEqual(await committed(true), [5, KAFKA.NONE]);
    const { producerId, producerEpoch } = producer;
    const adding = { transactionalId, groupId, producerId, producerEpoch };
    assert.equal((await client.ask(addOffsetsToTxn, 3, adding)).errorCode, KAFKA.NONE);
    assert.equal(await commit(11, 4), KAFKA.NONE);
    assert.equal(await end(producer, true, 4), KAFKA.NONE);
    assert.deepEqual(await committed(true), [11, KAFKA.NONE]);
  });

  it('at its time a transaction is aborted, and its producer fenced K69', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    await write(producer, name, ['late']);
    assert.equal((await read(name)).lastStableOffset, 0);
    timers.pass(60_000);
    // Whatever decides about the transaction comes after the abort that has begun.
    assert.equal(await end(producer, true), KAFKA.PRODUCER_FENCED);
    assert.deepEqual((await read(name)).aborted, [[producer.producerId, 0]]);
  });

  it('an end that was decided is carried out after a restart, an open transaction goes on K69 K72', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    await write(producer, name, ['a']);
    const other = await init();
    await write(other, name, ['b']);
    const prepared = room.transactions.find(producer.id)!;
    // As a crash right after the decision leaves it.
    prepared.state = 'PrepareCommit';
    host.broker.state.put(
      'kafka.transaction',
      producer.id,
      Buffer.from(
        JSON.stringify([prepared.producerId, 1, prepared.producerId, 0, 60_000, 2, 1, 1, -1]),
      ),
    );
    const next = openRoom(host);
    const asked = new Client(next);
    await next.transactions.committed();
    const find = async (transactionalId: string) => {
      const ids = { transactionalIds: [transactionalId] };
      const answer = await asked.ask(describeTransactions, 0, ids);
      return answer.transactionStates[0]!;
    };
    const body = { transactionalId: producer.id, transactionTimeoutMs: 1000 };
    // Answered after what was prepared is complete, or asked to come again.
    let errorCode: number = KAFKA.CONCURRENT_TRANSACTIONS;
    while (errorCode === KAFKA.CONCURRENT_TRANSACTIONS) {
      ({ errorCode } = await asked.ask(initProducerId, 5, body));
    }
    assert.equal(errorCode, KAFKA.NONE);
    assert.deepEqual((await read(name)).aborted, []);
    assert.equal((await find(other.id)).transactionState, 'Ongoing');
    assert.deepEqual((await find(other.id)).topics, [{ topic: name, partitions: [0] }]);
    const { id: transactionalId, producerId, producerEpoch } = other;
    const ending = { transactionalId, producerId, producerEpoch, committed: true };
    assert.equal((await asked.ask(endTxn, 5, ending)).errorCode, KAFKA.NONE);
    assert.equal((await read(name)).lastStableOffset, 4);
    await next.close();
  });

  it('used up epochs give a new producer id K70', async () => {
    const { name } = await newTopic(client);
    const producer = await init();
    const transaction = room.transactions.find(producer.id)!;
    transaction.epoch = 32_766;
    producer.producerEpoch = 32_766;
    const { producerId } = producer;
    await write(producer, name, ['last']);
    assert.equal(await end(producer, true), KAFKA.NONE);
    assert.notEqual(producer.producerId, producerId);
    assert.equal(producer.producerEpoch, 0);
    assert.equal((await write(producer, name, ['first'])).errorCode, KAFKA.NONE);
    assert.equal(await end(producer, true), KAFKA.NONE);
  });

  it('tools see transactions and producers, and end by hand what hangs K73 K127 K161 K165 K166', async () => {
    const { name } = await newTopic(client);
    const producer = await init('tool-tx');
    const { producerId } = producer;
    await write(producer, name, ['hangs']);
    const list = async (filters: object) => {
      const body = { stateFilters: [], producerIdFilters: [], ...filters };
      const { transactionStates, errorCode } = await client.ask(listTransactions, 2, body);
      return [errorCode, transactionStates.map(({ transactionalId }) => transactionalId)];
    };
    assert.deepEqual(await list({ producerIdFilters: [producerId] }), [0, ['tool-tx']]);
    assert.deepEqual(await list({ transactionalIdPattern: 'tool-.*' }), [0, ['tool-tx']]);
    assert.deepEqual(await list({ transactionalIdPattern: 'tool' }), [0, []]);
    assert.deepEqual(await list({ durationFilter: 1_000_000 }), [0, []]);
    const invalid = await list({ transactionalIdPattern: '(' });
    assert.deepEqual(invalid, [KAFKA.INVALID_REGULAR_EXPRESSION, []]);
    const body = { stateFilters: ['Ongoing', 'Nonsense'], producerIdFilters: [] };
    const { unknownStateFilters } = await client.ask(listTransactions, 1, body);
    assert.deepEqual(unknownStateFilters, ['Nonsense']);
    const asked = { topics: [{ name, partitionIndexes: [0] }] };
    const open = async () => {
      const { topics } = await client.ask(describeProducers, 0, asked);
      return topics[0]!.partitions[0]!.activeProducers[0]!;
    };
    assert.equal((await open()).currentTxnStartOffset, 0);
    const marker = { producerId, producerEpoch: 0, transactionResult: false, coordinatorEpoch: 0 };
    const topics = [{ name, partitionIndexes: [0] }];
    const mark = async (by: Client) => {
      const { markers } = await by.ask(writeTxnMarkers, 1, { markers: [{ ...marker, topics }] });
      return markers[0]!.topics[0]!.partitions[0]!.errorCode;
    };
    assert.equal(await mark(client), KAFKA.CLUSTER_AUTHORIZATION_FAILED);
    await host.broker.principals.setUser('root', 'secret', { superuser: true });
    const root = new Client(room);
    await root.ask(saslHandshake, 1, { mechanism: 'PLAIN' });
    const authBytes = Buffer.from('\0root\0secret');
    assert.equal((await root.ask(saslAuthenticate, 2, { authBytes })).errorCode, KAFKA.NONE);
    assert.equal(await mark(root), KAFKA.NONE);
    assert.equal((await open()).currentTxnStartOffset, -1);
    assert.deepEqual((await read(name)).aborted, [[producerId, 0]]);
  });

  it('clients are told of version 2 as a feature K5', async () => {
    const names = { clientSoftwareName: 'test', clientSoftwareVersion: '1' };
    const told = await client.ask(apiVersions, 4, names);
    const feature = told.finalizedFeatures.find((one) => one.name === 'transaction.version')!;
    assert.equal(feature.maxVersionLevel, 2);
    const known = told.supportedFeatures.find((one) => one.name === 'transaction.version')!;
    assert.deepEqual([known.minVersion, known.maxVersion], [0, 2]);
    const older = await client.ask(apiVersions, 3, names);
    assert.ok(older.supportedFeatures.every(({ minVersion }) => minVersion > 0));
  });
});
