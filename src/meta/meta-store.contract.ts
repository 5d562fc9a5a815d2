/** The suite that every catalogue passes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetaStore } from './meta-store.ts';

async function rowsOf(store: MetaStore, table: string): Promise<[string, string][]> {
  const rows: [string, string][] = [];
  for await (const page of store.scan(table)) {
    for (const { key, value } of page) rows.push([key, value.toString()]);
  }
  assert.deepEqual([...store.texts(table)], rows, 'both ways find the same');
  return rows;
}

const put = (table: string, key: string, value: string) => ({
  table,
  key,
  value: Buffer.from(value),
});

/** `reopen` closes and opens again; it is left out where a store keeps nothing. */
export function metaStoreContract(
  name: string,
  open: () => MetaStore,
  reopen?: (store: MetaStore) => Promise<MetaStore>,
): void {
  describe(`catalogue: ${name}`, () => {
    it('gives back what was written, per table', async () => {
      const store = open();
      await store.write([put('a', 'k', '1'), put('b', 'k', '2')]);
      assert.equal((await store.get('a', 'k'))?.toString(), '1');
      assert.equal((await store.get('b', 'k'))?.toString(), '2');
      assert.equal(await store.get('a', 'other'), undefined);
      await store.close();
    });

    it('replaces and removes rows', async () => {
      const store = open();
      await store.write([put('a', 'k', '1'), put('a', 'l', '1')]);
      await store.write([put('a', 'k', '2'), { table: 'a', key: 'l', value: null }]);
      assert.deepEqual(await rowsOf(store, 'a'), [['k', '2']]);
      await store.close();
    });

    it('scans in the order of the bytes of the keys, over many pages', async () => {
      const store = open();
      const keys = Array.from({ length: 2500 }, (_, n) => `k${(n * 7919) % 2500}é`);
      await store.write(keys.map((key) => put('a', key, key)));
      const rows = await rowsOf(store, 'a');
      const expected = keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(
        rows.map(([key]) => key),
        expected,
      );
      await store.close();
    });

    it('keeps an empty value apart from no value', async () => {
      const store = open();
      await store.write([put('a', 'k', '')]);
      assert.equal((await store.get('a', 'k'))?.length, 0);
      await store.close();
    });

    it('takes relaxed writes in one order with the others', async () => {
      const store = open();
      await store.write([put('a', 'k', '1')], true);
      await store.write([put('a', 'k', '2'), put('a', 'l', '2')]);
      await store.write([{ table: 'a', key: 'l', value: null }], true);
      assert.deepEqual(await rowsOf(store, 'a'), [['k', '2']]);
      await store.close();
    });

    it('answers at once what lies in it: a value, whether there is one', async () => {
      const store = open();
      await store.write([put('a', 'k', '1')]);
      assert.equal(store.read('a', 'k')?.toString(), '1');
      assert.equal(store.read('a', 'l'), undefined);
      assert.deepEqual(
        [store.has('a', 'k'), store.has('a', 'l'), store.has('b', 'k')],
        [true, false, false],
      );
      await store.close();
    });

    it('gives spans in the order of the bytes of the keys, whatever characters they have', async () => {
      const store = open();
      // U+FFFD sorts after a surrogate by its UTF-16 units, and before it by its bytes.
      const keys = ['a', 'a\0', 'a\0b', 'a!', 'b', 'é', '\ufffd', '\u{1f600}', '\u{1f601}x'];
      await store.write([...keys].reverse().map((key) => put('s', key, `=${key}`)));
      const span = (from: string, before: string | null, rowsMax = 99) =>
        store.keys('s', { from, before, rowsMax });
      assert.deepEqual(span('', null), keys);
      assert.deepEqual(span('a\0', 'b'), ['a\0', 'a\0b', 'a!']);
      assert.deepEqual(span('\ufffd', null, 2), ['\ufffd', '\u{1f600}']);
      assert.deepEqual(span('c', 'd'), []);
      const rows = store.range('s', { from: 'b', before: null, rowsMax: 2 });
      assert.deepEqual(
        rows.map(({ key, value }) => [key, value.toString()]),
        [
          ['b', '=b'],
          ['é', '=é'],
        ],
      );
      await store.close();
    });

    it('ends a span after the row that reaches the bound of bytes', async () => {
      const store = open();
      await store.write(['a', 'b', 'c', 'd'].map((key) => put('s', key, 'x'.repeat(100))));
      const rows = store.range('s', { from: '', before: null, rowsMax: 9, bytesMax: 150 });
      assert.deepEqual(
        rows.map(({ key }) => key),
        ['a', 'b'],
      );
      await store.close();
    });

    if (reopen === undefined) return;
    it('has everything after it was opened again', async () => {
      const store = open();
      await store.write([put('a', 'k', '1')]);
      const again = await reopen(store);
      assert.deepEqual(await rowsOf(again, 'a'), [['k', '1']]);
      await again.close();
    });
  });
}
