import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import {
  batchOf,
  Client,
  fetchBody,
  newTopic,
  openRoom,
  produceTo,
  seal,
} from './client.fixture.ts';
import { KAFKA } from './error-codes.ts';
import { fetch } from './messages/01-fetch.ts';
import { createTopics } from './messages/19-create-topics.ts';
import { describeConfigs } from './messages/32-describe-configs.ts';
import { incrementalAlterConfigs } from './messages/44-incremental-alter-configs.ts';
import type { Room } from './room.ts';

const HEADER_BYTES = 61;
const CODECS = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const TOPIC = 2;

/** The batch with its records in gzip. */
function zipped(batch: Buffer): Buffer {
  const records = gzipSync(batch.subarray(HEADER_BYTES));
  const bytes = Buffer.concat([batch.subarray(0, HEADER_BYTES), records]);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt16BE(1, 21);
  return seal(bytes);
}

describe('topics with configs of their own', () => {
  let host: TestHost;
  let room: Room;
  let client: Client;
  before(async () => {
    host = await openTestHost();
    room = openRoom(host);
    client = new Client(room);
  });
  after(async () => {
    await room.close();
    await host.close();
  });

  async function fetched(name: string, offset: number): Promise<Buffer> {
    const { responses } = await client.ask(fetch, 11, fetchBody(name, offset));
    return Buffer.from(responses[0]!.partitions[0]!.records!);
  }

  const created = async (name: string, configs: readonly { name: string; value: string }[]) => {
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs };
    return (await client.ask(createTopics, 7, { topics: [topic] })).topics[0]!;
  };

  async function shownOf(topic: string, config: string): Promise<string | null> {
    const resources = [{ resourceType: TOPIC, resourceName: topic, configurationKeys: [config] }];
    const { results } = await client.ask(describeConfigs, 4, { resources });
    return results[0]!.configs[0]!.value;
  }

  it('compression.type packs what comes in another way, and nothing else K42 K22', async () => {
    for (const [number, type] of CODECS.entries()) {
      const { name } = await newTopic(client, 1, [{ name: 'compression.type', value: type }]);
      assert.equal(await shownOf(name, 'compression.type'), type);
      const plain = batchOf(['x'.repeat(1000), 'y']);
      for (const sent of [plain, zipped(plain)]) {
        const { errorCode } = await produceTo(client, name, Buffer.from(sent));
        assert.equal(errorCode, KAFKA.NONE);
      }
      for (const offset of [0, 2]) {
        const batch = await fetched(name, offset);
        assert.equal(batch.readInt16BE(21) & 0x07, number, `${type} at ${offset}`);
        assert.equal(batch.readInt32BE(57), 2);
      }
    }
  });

  it('producer leaves them as they are, also when it is set later K42', async () => {
    const { name } = await newTopic(client, 1, [{ name: 'compression.type', value: 'lz4' }]);
    const sent = zipped(batchOf(['one']));
    await produceTo(client, name, Buffer.from(sent));
    const configs = [{ name: 'compression.type', configOperation: 0, value: 'producer' }];
    const resources = [{ resourceType: TOPIC, resourceName: name, configs }];
    const changed = await client.ask(incrementalAlterConfigs, 1, {
      resources,
      validateOnly: false,
    });
    assert.equal(changed.responses[0]!.errorCode, KAFKA.NONE);
    await produceTo(client, name, Buffer.from(sent));
    assert.equal((await fetched(name, 0)).readInt16BE(21) & 0x07, 3);
    assert.equal((await fetched(name, 1)).readInt16BE(21) & 0x07, 1);
    const wrong = await created('wrong-codec', [{ name: 'compression.type', value: 'brotli' }]);
    assert.equal(wrong.errorCode, KAFKA.INVALID_CONFIG);
  });

  it('what does not open, or grows too large, is refused K23 K42', async () => {
    const { name } = await newTopic(client, 1, [
      { name: 'compression.type', value: 'uncompressed' },
      { name: 'max.message.bytes', value: '5000' },
    ]);
    const nonsense = batchOf(['x']);
    nonsense.writeInt16BE(1, 21);
    assert.equal((await produceTo(client, name, seal(nonsense))).errorCode, KAFKA.INVALID_RECORD);
    const large = await produceTo(client, name, zipped(batchOf(['x'.repeat(10_000)])));
    assert.equal(large.errorCode, KAFKA.MESSAGE_TOO_LARGE);
    assert.equal((await produceTo(client, name, zipped(batchOf(['x'])))).baseOffset, 0);
  });

  it('flush.messages and flush.ms are promised only where each batch is on disk K43 K42', async () => {
    const each = { name: 'flush.messages', value: '1' };
    const made = await created('flushed', [each]);
    assert.equal(made.errorCode, KAFKA.NONE);
    assert.equal(await shownOf('flushed', 'flush.messages'), '1');
    assert.equal(host.broker.streams.get('flushed')!.settings.durability, 'fsync');
    const loose = { name: 'robustmq.durability', value: 'async' };
    for (const config of [each, { name: 'flush.ms', value: '1000' }]) {
      const refused = await created('loose', [loose, config]);
      assert.equal(refused.errorCode, KAFKA.INVALID_CONFIG);
      assert.match(refused.errorMessage!, /fsync/);
    }
    const never = { name: 'flush.messages', value: '9223372036854775807' };
    assert.equal((await created('never-flushed', [loose, never])).errorCode, KAFKA.NONE);
    assert.equal(await shownOf('never-flushed', 'flush.ms'), '9223372036854775807');
    assert.equal(
      (await created('wrong', [{ ...each, value: '0' }])).errorCode,
      KAFKA.INVALID_CONFIG,
    );
  });
});
