/** The S3 store against real servers of the protocol: moto always, versitygw in the full tier. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Metrics, realClock, realRandom, realTimers } from '#kit';
import { FULL } from '../../../test/clients/tier.ts';
import {
  BUCKET,
  type BucketServer,
  type BucketServerName,
  KEYS,
  lacking,
  startBucketServer,
} from '../../../test/object-store/buckets.ts';
import { objectStoreContract } from './object-store.contract.ts';
import type { S3Limits } from './s3-limits.ts';
import { S3Store } from './s3-store.ts';

const MIB = 2 ** 20;
const servers: BucketServerName[] = FULL ? ['moto', 'versitygw'] : ['moto'];

for (const name of servers) {
  const missing = await lacking(name);
  describe(`S3 at ${name}`, { skip: missing ?? false }, () => {
    let server: BucketServer;
    let prefixes = 0;
    const nextPrefix = () => `p${++prefixes}/`;
    const storeAt = (prefix: string, limits: Partial<S3Limits> = {}) =>
      new S3Store({
        place: {
          endpoint: server.endpoint,
          bucket: BUCKET,
          prefix,
          region: 'us-east-1',
          pathStyle: true,
          ...KEYS,
          sessionToken: '',
        },
        clock: realClock,
        timers: realTimers,
        random: realRandom,
        metrics: new Metrics(),
        limits,
      });

    before(async () => {
      server = await startBucketServer(name);
    });
    after(() => server[Symbol.asyncDispose]());

    objectStoreContract(`bucket of ${name} K49`, () => {
      const prefix = nextPrefix();
      // A page holds fewer keys than the contract puts: lists go over pages.
      const opened: S3Store[] = [];
      const open = async () => {
        const store = storeAt(prefix, { pageKeys: 7 });
        opened.push(store);
        return store;
      };
      const end = () => {
        for (const store of opened) void store.close();
      };
      return { open, crash: () => {}, end };
    });

    test('a large object goes up in parts and comes back byte for byte K49', async () => {
      const store = storeAt(nextPrefix(), { partBytes: 5 * MIB });
      const content = realRandom.bytes(13 * MIB + 77);
      await store.put('large', async (write) => {
        for (let at = 0; at < content.length; at += 700_001) {
          await write([
            content.subarray(at, at + 300_000),
            content.subarray(at + 300_000, at + 700_001),
          ]);
        }
        return 0;
      });
      assert.deepEqual(await store.list(''), [{ name: 'large', bytes: content.length }]);
      assert.ok((await store.get('large', 0, content.length)).equals(content));
      for (const [from, length] of [
        [5 * MIB - 1, 2],
        [content.length - 3, 10],
        [1, MIB],
      ] as const) {
        const expected = content.subarray(from, from + length);
        assert.ok((await store.get('large', from, length)).equals(expected));
      }
      await store.close();
    });

    test('an object of exactly whole parts has no empty one K49', async () => {
      const store = storeAt(nextPrefix(), { partBytes: 5 * MIB });
      for (const parts of [1, 2]) {
        const content = realRandom.bytes(parts * 5 * MIB);
        await store.put('whole', (write) => write([content]).then(() => 0));
        assert.ok((await store.get('whole', 0, content.length)).equals(content));
      }
      await store.close();
    });

    test('names with spaces, signs and letters of any alphabet are kept K49', async () => {
      const store = storeAt(nextPrefix());
      const names = ['a b', 'a+b', 'a&b<c>', "a'b", 'grün', 'x%20y', 'a/b'];
      for (const each of names)
        await store.put(each, (write) => write([Buffer.from(each)]).then(() => 0));
      assert.deepEqual(
        (await store.list('')).map((object) => object.name),
        [...names].sort(),
      );
      for (const each of names) assert.equal((await store.get(each, 0, 100)).toString(), each);
      await store.deleteMany(names);
      assert.deepEqual(await store.list(''), []);
      await store.close();
    });

    test('a put that fails midway leaves no parts behind K49', async () => {
      const prefix = nextPrefix();
      const store = storeAt(prefix, { partBytes: 5 * MIB, unfinishedMs: -60_000 });
      const put = store.put('half', async (write) => {
        await write([Buffer.alloc(11 * MIB)]);
        throw new Error('no more');
      });
      await assert.rejects(put, { message: 'no more' });
      assert.equal(await store.dropUnfinished(), 0);
      assert.deepEqual(await store.list(''), []);
      await store.close();
    });

    test('parts that a dead process left are removed when they are old K49', async () => {
      const prefix = nextPrefix();
      const dead = storeAt(prefix, { partBytes: 5 * MIB });
      const begun = Promise.withResolvers<void>();
      void dead.put('half', async (write) => {
        await write([Buffer.alloc(6 * MIB)]);
        begun.resolve();
        return new Promise<never>(() => {});
      });
      await begun.promise;
      const young = storeAt(prefix);
      // moto dates every upload 2010.
      if (name !== 'moto') assert.equal(await young.dropUnfinished(), 0);
      const old = storeAt(prefix, { unfinishedMs: -60_000 });
      assert.equal(await old.dropUnfinished(), 1);
      assert.equal(await old.dropUnfinished(), 0);
      for (const store of [dead, young, old]) await store.close();
    });

    test('a bucket that does not exist, or refuses, is a clear error that may pass K49', async () => {
      const place = {
        endpoint: server.endpoint,
        bucket: 'nowhere-to-be-found',
        prefix: '',
        region: 'us-east-1',
        pathStyle: true,
        ...KEYS,
        sessionToken: '',
      };
      const parts = { clock: realClock, timers: realTimers, random: realRandom };
      const store = new S3Store({ place, ...parts, metrics: new Metrics() });
      await assert.rejects(store.get('a', 0, 1), {
        code: 'remote-unavailable',
        message: /NoSuchBucket/,
      });
      await assert.rejects(store.list(''), { code: 'remote-unavailable' });
      await store.close();
      if (name !== 'versitygw') return;
      const wrong = { ...place, bucket: BUCKET, secretAccessKey: 'wrong' };
      const refused = new S3Store({ place: wrong, ...parts, metrics: new Metrics() });
      await assert.rejects(refused.list(''), { message: /SignatureDoesNotMatch/ });
      await refused.close();
    });
  });
}
