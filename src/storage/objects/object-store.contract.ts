/** What every implementation of `ObjectStore` must do; run by `object-store.test.ts` for each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectStore } from './object-store.ts';

export interface StoreUnderTest {
  /** The store as a process finds it that starts now. */
  open(): Promise<ObjectStore>;
  /** The process that uses the store dies, and with it what was not durable. */
  crash(): void;
  end(): void;
}

const NEVER = new Promise<never>(() => {});

async function putText(store: ObjectStore, name: string, ...texts: string[]): Promise<void> {
  await store.put(name, async (write) => {
    for (const text of texts) await write([Buffer.from(text)]);
    return 0;
  });
}

async function textOf(store: ObjectStore, name: string): Promise<string> {
  return (await store.get(name, 0, 1_000)).toString();
}

type Check = (
  title: string,
  body: (store: ObjectStore, under: StoreUnderTest) => Promise<void>,
) => void;

export function objectStoreContract(name: string, make: () => StoreUnderTest): void {
  const check: Check = (title, body) => {
    test(`${name}: ${title}`, async () => {
      const under = make();
      try {
        await body(await under.open(), under);
      } finally {
        under.end();
      }
    });
  };
  contentChecks(check);
  wholenessChecks(check);
}

function contentChecks(check: Check): void {
  check('what is put piece by piece is got by range, fewer bytes at the end', async (store) => {
    await store.put('a', async (write) => {
      await write([Buffer.from('hello '), Buffer.from('')]);
      await write([]);
      await write([Buffer.from('wor'), Buffer.from('ld')]);
      return 3;
    });
    assert.equal((await store.get('a', 0, 11)).toString(), 'hello world');
    assert.equal((await store.get('a', 4, 4)).toString(), 'o wo');
    assert.equal((await store.get('a', 6, 500)).toString(), 'world');
    assert.equal((await store.get('a', 11, 1)).length, 0);
    assert.equal((await store.get('a', 500, 1)).length, 0);
    await store.close();
  });

  check(
    'bytes that were got belong to the caller, and those given are free again',
    async (store) => {
      const reused = Buffer.from('one');
      await store.put('a', async (write) => {
        await write([reused]);
        reused.write('two');
        await write([reused]);
        return 6;
      });
      (await store.get('a', 0, 6)).fill(0);
      assert.equal(await textOf(store, 'a'), 'onetwo');
      await store.close();
    },
  );

  check('a name that is not there is a clear error, and not for ever', async (store) => {
    await assert.rejects(store.get('a', 0, 1), { code: 'ENOENT' });
    await putText(store, 'a', 'here');
    assert.equal(await textOf(store, 'a'), 'here');
    await store.close();
  });

  check(
    'objects are listed by prefix, sorted, with sizes, until they are deleted',
    async (store) => {
      assert.deepEqual(await store.list(''), []);
      for (let n = 20; n > 0; n--) await putText(store, `x-${100 + n}`, '.'.repeat(n));
      await putText(store, 'y', 'other');
      const all = await store.list('x-');
      assert.deepEqual(
        all,
        Array.from({ length: 20 }, (_, index) => ({ name: `x-${101 + index}`, bytes: index + 1 })),
      );
      await store.deleteMany([...all.slice(2).map((object) => object.name), 'nowhere']);
      await store.deleteMany([]);
      const left = (await store.list('')).map((object) => object.name);
      assert.deepEqual(left, ['x-101', 'x-102', 'y']);
      await assert.rejects(store.get('x-103', 0, 1), { code: 'ENOENT' });
      await store.close();
    },
  );

  check('many objects are read side by side, more than stay open', async (store) => {
    const names = Array.from({ length: 30 }, (_, index) => `n${index}`);
    for (const each of names) await putText(store, each, each);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await Promise.all(names.map((each) => textOf(store, each))), names);
    }
    await store.close();
  });
}

function wholenessChecks(check: Check): void {
  check('nobody sees an object before it is whole, or half of its replacement', async (store) => {
    await putText(store, 'old', 'first');
    assert.equal(await textOf(store, 'old'), 'first');
    for (const each of ['new', 'old']) {
      await store.put(each, async (write) => {
        await write([Buffer.from('sec')]);
        assert.deepEqual(await store.list('n'), []);
        await assert.rejects(store.get('new', 0, 1), { code: 'ENOENT' });
        assert.equal(await textOf(store, 'old'), 'first');
        await write([Buffer.from('ond')]);
        return 0;
      });
      assert.equal(await textOf(store, each), 'second');
      if (each === 'new') await store.deleteMany(['new']);
    }
    await store.close();
  });

  check('a put that fails leaves nothing, and what was there before', async (store, under) => {
    await putText(store, 'old', 'first');
    for (const each of ['old', 'new']) {
      const put = store.put(each, async (write) => {
        await write([Buffer.from('half')]);
        throw new Error('no more');
      });
      await assert.rejects(put, { message: 'no more' });
    }
    assert.deepEqual(await store.list(''), [{ name: 'old', bytes: 5 }]);
    await store.close();
    const again = await under.open();
    assert.equal(await textOf(again, 'old'), 'first');
    await again.close();
  });

  check(
    'a crash leaves whole objects only, and the name can be put again',
    async (store, under) => {
      const long = 'kept'.repeat(2_000);
      await putText(store, 'whole', long, long);
      await putText(store, 'old', 'first');
      for (const each of ['old', 'new']) {
        await new Promise<void>((resolve) => {
          void store.put(each, async (write) => {
            await write([Buffer.from('half')]);
            resolve();
            return NEVER;
          });
        });
      }
      under.crash();
      const again = await under.open();
      assert.deepEqual(await again.list(''), [
        { name: 'old', bytes: 5 },
        { name: 'whole', bytes: 2 * long.length },
      ]);
      assert.equal((await again.get('whole', 0, 100_000)).toString(), long + long);
      assert.equal(await textOf(again, 'old'), 'first');
      await putText(again, 'new', 'again');
      assert.equal(await textOf(again, 'new'), 'again');
      await again.close();
    },
  );
}
