/** The S3 store when the network and the bucket misbehave: a real bucket behind an unruly proxy. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Counter, Metrics, realClock, realRandom, realTimers } from '#kit';
import {
  BUCKET,
  type BucketServer,
  KEYS,
  lacking,
  startBucketServer,
} from '../../../test/object-store/buckets.ts';
import { startUnrulyProxy, type UnrulyProxy } from '../../../test/object-store/unruly-proxy.ts';
import type { S3Limits } from './s3-limits.ts';
import { S3Store } from './s3-store.ts';

const MIB = 2 ** 20;
const SLOW_DOWN = {
  kind: 'answer',
  status: 503,
  body: '<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>',
} as const;
const missing = await lacking('moto');

describe('S3 behind an unruly network', { skip: missing ?? false }, () => {
  let server: BucketServer;
  let proxy: UnrulyProxy;
  let prefixes = 0;

  const open = (limits: Partial<S3Limits> = {}, metrics = new Metrics()) =>
    new S3Store({
      place: {
        endpoint: proxy.endpoint,
        bucket: BUCKET,
        prefix: `f${++prefixes}/`,
        region: 'us-east-1',
        pathStyle: true,
        ...KEYS,
        sessionToken: '',
      },
      ...{ clock: realClock, timers: realTimers, random: realRandom, metrics },
      limits: { backoffMs: 5, backoffMsMax: 20, ...limits },
    });
  const putBytes = (store: S3Store, name: string, bytes: Buffer) =>
    store.put(name, (write) => write([bytes]).then(() => 0));
  const count = (metrics: Metrics, what: string) => {
    const family = metrics.families.get(`robustmq_storage_remote_${what}_total`);
    return (family!.series[0]!.instrument as Counter).value;
  };

  before(async () => {
    server = await startBucketServer('moto');
    proxy = await startUnrulyProxy(server.endpoint);
  });
  after(async () => {
    await proxy.close();
    await server[Symbol.asyncDispose]();
  });
  const unruly = (decide: UnrulyProxy['decide']) => {
    proxy.requests = 0;
    proxy.most = 0;
    proxy.decide = decide;
  };
  const calm = () => unruly(() => null);

  test('answers that are cut, stall or are too short are asked for again K49', async () => {
    calm();
    // A stall ends after one to two times this; the machine may be slow as well.
    const store = open({ idleTimeoutMs: 1_000 });
    const content = realRandom.bytes(200_000);
    await putBytes(store, 'a', content);
    for (const mischief of [
      { kind: 'reset' },
      { kind: 'cut', bytes: 0 },
      { kind: 'cut', bytes: 70_000 },
      { kind: 'stall', bytes: 70_000 },
      { kind: 'stall', bytes: 0 },
      { kind: 'short', bytes: 1 },
      { kind: 'answer', status: 500, body: 'no XML at all' },
      { kind: 'answer', status: 200, body: 'not what was asked for' },
      {
        kind: 'answer',
        status: 206,
        headers: { 'content-range': 'bytes 5-9/200000' },
        body: 'abcde',
      },
      SLOW_DOWN,
    ] as const) {
      unruly((_request, number) => (number === 1 ? mischief : null));
      assert.ok((await store.get('a', 10, 150_000)).equals(content.subarray(10, 150_010)));
      assert.ok(proxy.requests >= 2, JSON.stringify(mischief));
    }
    await store.close();
  });

  test('an upload gets through every second request failing, byte for byte K49', async () => {
    calm();
    // Parts go up side by side: one of them may meet several failures in a row.
    const store = open({ partBytes: 5 * MIB, attemptsMax: 20 });
    const content = realRandom.bytes(17 * MIB);
    const kinds = [{ kind: 'reset' }, { kind: 'swallow' }, SLOW_DOWN] as const;
    let turn = 0;
    unruly((_request, number) => (number % 2 === 1 ? kinds[turn++ % kinds.length]! : null));
    await putBytes(store, 'large', content);
    calm();
    assert.ok((await store.get('large', 0, content.length)).equals(content));
    assert.equal((await store.list('')).length, 1);
    await store.close();
  });

  test('an upload whose last answer was lost is found to be done K49', async () => {
    calm();
    const store = open({ partBytes: 5 * MIB });
    const content = realRandom.bytes(6 * MIB);
    let swallowed = 0;
    unruly(({ method, url }) => {
      const completes = method === 'POST' && /uploadId=/.test(url ?? '');
      return completes && swallowed++ === 0 ? { kind: 'swallow' } : null;
    });
    await putBytes(store, 'large', content);
    assert.equal(swallowed, 2);
    calm();
    assert.ok((await store.get('large', 0, content.length)).equals(content));
    await store.close();
  });

  test('an upload that the bucket takes back with a 200 is tried again K49', async () => {
    calm();
    const store = open({ partBytes: 5 * MIB });
    let told = 0;
    unruly(({ method, url }) => {
      const completes = method === 'POST' && /uploadId=/.test(url ?? '');
      if (!completes || told++ > 0) return null;
      return { kind: 'answer', status: 200, body: '<Error><Code>InternalError</Code></Error>' };
    });
    const content = realRandom.bytes(6 * MIB);
    await putBytes(store, 'large', content);
    calm();
    assert.ok((await store.get('large', 0, content.length)).equals(content));
    await store.close();
  });

  test('a bucket that throttles is asked less, and more again when it is content K49', async () => {
    calm();
    const metrics = new Metrics();
    const store = open({ requestsMax: 8, attemptsMax: 20 }, metrics);
    await putBytes(store, 'a', Buffer.from('content'));
    const reads = (many: number) =>
      Promise.all(Array.from({ length: many }, () => store.get('a', 0, 7)));
    unruly(() => null);
    await reads(20);
    const before = proxy.most;
    // Content with two at a time, as a bucket of a shared store may be.
    unruly(() => (proxy.active > 2 ? SLOW_DOWN : null));
    for (const bytes of await reads(30)) assert.equal(bytes.toString(), 'content');
    const throttled = count(metrics, 'throttled');
    assert.ok(throttled > 0 && throttled < 30, `${throttled} throttled answers`);
    calm();
    for (let round = 0; round < 6; round++) await reads(20);
    assert.ok(proxy.most > before / 2, `${proxy.most} at a time again, ${before} before`);
    await store.close();
  });

  test('a pause that the bucket asks for is kept K49', async () => {
    calm();
    const store = open();
    await putBytes(store, 'a', Buffer.from('content'));
    unruly((_request, number) =>
      number === 1 ? { kind: 'answer', status: 503, headers: { 'retry-after': '1' } } : null,
    );
    const startedMs = performance.now();
    assert.equal((await store.get('a', 0, 7)).toString(), 'content');
    assert.ok(performance.now() - startedMs >= 990);
    await store.close();
  });

  test('what stays away is an error after some tries, and what is refused after one K49', async () => {
    calm();
    const store = open({ attemptsMax: 3 });
    await putBytes(store, 'a', Buffer.from('content'));
    unruly(() => ({ kind: 'reset' }));
    await assert.rejects(store.get('a', 0, 7), { code: 'remote-unavailable', retriable: true });
    assert.equal(proxy.requests, 3);
    unruly(() => ({
      kind: 'answer',
      status: 403,
      body: '<Error><Code>AccessDenied</Code><Message>No &amp; no</Message></Error>',
    }));
    for (const call of [
      () => store.get('a', 0, 7),
      () => store.list(''),
      () => store.deleteMany(['a']),
      () => putBytes(store, 'b', Buffer.from('x')),
    ]) {
      unruly(proxy.decide);
      await assert.rejects(call(), { code: 'remote-unavailable', message: /AccessDenied No & no/ });
      assert.equal(proxy.requests, 1);
    }
    calm();
    assert.equal((await store.get('a', 0, 7)).toString(), 'content');
    await store.close();
  });

  test('keys that a bucket could not delete are deleted by the next try K49', async () => {
    calm();
    const store = open();
    for (const name of ['a', 'b']) await putBytes(store, name, Buffer.from(name));
    unruly((_request, number) =>
      number === 1
        ? {
            kind: 'answer',
            status: 200,
            body: '<DeleteResult><Error><Key>b</Key><Code>InternalError</Code></Error></DeleteResult>',
          }
        : null,
    );
    await store.deleteMany(['a', 'b']);
    calm();
    assert.deepEqual(await store.list(''), []);
    await store.close();
  });

  test('closing ends what is under way, and what waits K49', async () => {
    calm();
    const store = open({ requestsMax: 1 });
    await putBytes(store, 'a', Buffer.from('content'));
    const seen = Promise.withResolvers<void>();
    unruly(() => {
      seen.resolve();
      return { kind: 'stall', bytes: 1 };
    });
    const reads = [store.get('a', 0, 7), store.get('a', 0, 7)];
    for (const read of reads) read.catch(() => {});
    await seen.promise;
    await store.close();
    for (const read of reads) await assert.rejects(read);
  });
});
