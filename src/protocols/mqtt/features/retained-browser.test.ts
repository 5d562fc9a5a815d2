import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Bench, type TestClient } from '../client.fixture.ts';

interface Page {
  readonly items: readonly { readonly topic: string }[];
  readonly next: string | null;
}

describe('MQTT: retained messages for administrators', () => {
  let bench: Bench;
  let client: TestClient;
  beforeEach(async () => {
    bench = await Bench.open();
    client = await bench.connect('c');
  });
  afterEach(() => bench.close());

  /** Asks an action as admin would: `GET retained`. */
  async function ask<T>(name: string, query: Record<string, string>, topic = ''): Promise<T> {
    const [method, path] = name.split(' ');
    const action = bench.room.actions.find((each) => each.method === method && each.path === path);
    const asked = { query: new URLSearchParams(query), params: { topic }, body: {}, user: 'admin' };
    const reply = await action!.run(asked);
    assert.ok(reply !== null && 'value' in reply);
    return reply.value as T;
  }

  async function retain(topics: readonly string[]): Promise<void> {
    for (const topic of topics) client.publish({ topic, payload: topic, retain: true });
    await client.quiet();
  }

  test('they are listed, read and removed by filter M119', async () => {
    await retain(['a/1', 'a/2', 'b/1']);
    const { items } = await ask<Page>('GET retained', { filter: 'a/+' });
    assert.deepEqual(
      items.map(({ topic }) => topic),
      ['a/1', 'a/2'],
    );
    const one = await ask<{ payload: string }>('GET retained/:topic', {}, 'b/1');
    assert.equal(one.payload, Buffer.from('b/1').toString('base64'));
    assert.deepEqual(await ask('DELETE retained', { filter: 'a/#' }), { removed: 2 });
    assert.equal(bench.host.broker.lastValues.count, 1);
    await assert.rejects(ask('GET retained/:topic', {}, 'a/1'), { code: 'precondition-failed' });
    await assert.rejects(ask('GET retained', { filter: 'a/#/b' }), { code: 'invalid-argument' });
  });

  test('a page begins where the one before ended, also when values come and go M119', async () => {
    const topics = Array.from(
      { length: 1200 },
      (_, n) => `p/${n % 7}/${String(n).padStart(4, '0')}`,
    );
    for (let at = 0; at < topics.length; at += 200) await retain(topics.slice(at, at + 200));
    const seen: string[] = [];
    // What the command line begins with.
    for (let after: string | null = '0', pages = 0; after !== null; pages++) {
      const page: Page = await ask('GET retained', { filter: 'p/+/#', limit: '500', after });
      seen.push(...page.items.map(({ topic }) => topic));
      after = page.next;
      if (pages === 0) await ask('DELETE retained', { filter: `${seen[499]}` });
      if (pages === 1) assert.equal(page.items.length, 500);
    }
    assert.deepEqual(seen, topics.toSorted());
    await assert.rejects(ask('GET retained', { limit: '0' }), { code: 'invalid-argument' });
    assert.deepEqual(await ask('DELETE retained', { filter: 'p/#' }), { removed: 1199 });
  });
});
