import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMemoryStore, openSqliteStore } from './index.ts';
import { metaStoreContract } from './meta-store.contract.ts';

metaStoreContract('memory', openMemoryStore);

let path = '';
metaStoreContract(
  'sqlite',
  () => {
    path = join(mkdtempSync(join(tmpdir(), 'catalogue-')), 'catalogue.db');
    return openSqliteStore(path);
  },
  async (store) => {
    await store.close();
    return openSqliteStore(path);
  },
);
