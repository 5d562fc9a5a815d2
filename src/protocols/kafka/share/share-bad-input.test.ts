import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { KAFKA } from '../error-codes.ts';
import { deleteGroups } from '../messages/42-delete-groups.ts';
import { shareFetch } from '../messages/78-share-fetch.ts';
import { shareAcknowledge } from '../messages/79-share-acknowledge.ts';
import { alterShareGroupOffsets } from '../messages/91-alter-share-group-offsets.ts';
import { ACCEPT, Shares } from './share.fixture.ts';

const { NONE, INVALID_REQUEST } = KAFKA;
const UNKNOWN_ID = '10000000-0000-4000-8000-000000000001';

interface Named {
  readonly groupId?: string;
  readonly memberId?: string;
}

describe('Kafka: share groups and requests that mean nothing', () => {
  let at: Shares;

  beforeEach(async () => {
    at = await Shares.open();
  });
  afterEach(() => at.close());

  const fetchOf = (
    topics: readonly { topicId: string; indexes: readonly number[] }[],
    more = {},
  ) => ({
    ...{ groupId: 'g', memberId: 'm', shareSessionEpoch: 0, maxWaitMs: 0, minBytes: 1 },
    ...{ maxBytes: 1 << 20, maxRecords: 10, batchSize: 10, forgottenTopicsData: [] },
    topics: topics.map(({ topicId, indexes }) => ({
      topicId,
      partitions: indexes.map((partitionIndex) => ({ partitionIndex, acknowledgementBatches: [] })),
    })),
    ...more,
  });

  test('types that are neither one nor one for each record are refused K66 K179', async () => {
    await at.write('a', 'b', 'c');
    const me = await at.reader();
    await me.fetch();
    assert.equal(await me.say([[0, 2, ACCEPT, ACCEPT]]), INVALID_REQUEST);
    assert.equal(await me.say([[0, 2, ACCEPT, ACCEPT, ACCEPT, ACCEPT]]), INVALID_REQUEST);
    assert.equal(await me.say([[-1, 0, ACCEPT]]), INVALID_REQUEST);
    assert.equal(await me.say([[0, 2]]), INVALID_REQUEST);
    const far = await me.say([[0, Number.MAX_SAFE_INTEGER, ACCEPT]]);
    assert.equal(far, KAFKA.INVALID_RECORD_STATE);
    assert.equal(await me.say([[0, 2, ACCEPT, ACCEPT, ACCEPT]]), NONE);
  });

  test('without a group or a member nothing is fetched or acknowledged K66 K178 K179', async () => {
    const nobody: readonly Named[] = [{ groupId: '' }, { memberId: '' }];
    for (const named of nobody) {
      const { errorCode } = await at.client.ask(shareFetch, 1, fetchOf([], named));
      assert.equal(errorCode, INVALID_REQUEST);
      const asked = { groupId: 'g', memberId: 'm', shareSessionEpoch: 1, topics: [], ...named };
      const said = await at.client.ask(shareAcknowledge, 1, asked);
      assert.equal(said.errorCode, INVALID_REQUEST);
    }
    const first = { groupId: 'g', memberId: 'm', shareSessionEpoch: 0, topics: [] };
    const early = await at.client.ask(shareAcknowledge, 1, first);
    assert.equal(early.errorCode, KAFKA.INVALID_SHARE_SESSION_EPOCH);
  });

  test('a renewal that asks for records is refused K66 K178', async () => {
    const more = { isRenewAck: true, shareAcquireMode: 0 };
    const { errorCode } = await at.client.ask(shareFetch, 2, fetchOf([], more));
    assert.equal(errorCode, INVALID_REQUEST);
  });

  test('topics and partitions that are not there are told one by one K66 K178', async () => {
    await at.write('a');
    await at.reader();
    const topics = [
      { topicId: UNKNOWN_ID, indexes: [0] },
      { topicId: at.topicId, indexes: [7] },
    ];
    const { errorCode, responses } = await at.client.ask(shareFetch, 1, fetchOf(topics));
    assert.equal(errorCode, NONE);
    const codes = responses.map(({ partitions }) => partitions[0]!.errorCode);
    assert.deepEqual(codes, [KAFKA.UNKNOWN_TOPIC_ID, KAFKA.UNKNOWN_TOPIC_OR_PARTITION]);
  });

  test('a session names so many partitions at most, and ends with more K8 K66 K178', async () => {
    const indexes = Array.from({ length: 10_001 }, (_, index) => index);
    const many = [{ topicId: UNKNOWN_ID, indexes }];
    const refused = await at.client.ask(shareFetch, 1, fetchOf(many));
    assert.equal(refused.errorCode, INVALID_REQUEST);
    const next = await at.client.ask(shareFetch, 1, fetchOf([], { shareSessionEpoch: 1 }));
    assert.equal(next.errorCode, KAFKA.SHARE_SESSION_NOT_FOUND);
  });

  test('a group with members is not deleted, and has so many; so many groups there are K66', async () => {
    await at.restart({ shareGroupMembersMax: 1, groupsMax: 1 });
    const me = await at.reader();
    const other = await at.member().beat([at.name], 0);
    assert.equal(other.errorCode, KAFKA.GROUP_MAX_SIZE_REACHED);
    const stranger = await at.member('h').beat([at.name], 0);
    assert.equal(stranger.errorCode, KAFKA.COORDINATOR_NOT_AVAILABLE);
    const remove = async () =>
      (await at.client.ask(deleteGroups, 2, { groupsNames: ['g'] })).results[0]!.errorCode;
    assert.equal(await remove(), KAFKA.NON_EMPTY_GROUP);
    await me.beat(null, -1);
    assert.equal(await remove(), NONE);
  });

  test('a place beyond the log is its end, one before it its beginning K66 K191', async () => {
    await at.write('a', 'b');
    const me = await at.reader();
    await me.beat(null, -1);
    for (const [startOffset, place] of [
      [-5, [0, 2]],
      [99, [2, 0]],
    ] as const) {
      const partitions = [{ partitionIndex: 0, startOffset }];
      const topics = [{ topicName: at.name, partitions }];
      const moved = await at.client.ask(alterShareGroupOffsets, 0, { groupId: 'g', topics });
      assert.equal(moved.responses[0]!.partitions[0]!.errorCode, NONE);
      assert.deepEqual(await at.offsets(), [place]);
    }
  });
});
