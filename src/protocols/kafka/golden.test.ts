import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { apiByKey, readHeaderRest, readHeaderStart } from './codec.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

interface Golden {
  readonly client: string;
  readonly frames: readonly {
    readonly key: number;
    readonly version: number;
    readonly request: string;
    readonly response?: string;
  }[];
}

const folder = new URL('../../../test/golden/kafka/', import.meta.url);
const API_VERSIONS = 18;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const golden = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Golden;

  test(`what ${golden.client} sends is read, and written again byte by byte`, () => {
    assert.ok(golden.frames.length > 5);
    for (const { key, version, request } of golden.frames) {
      const bytes = Buffer.from(request, 'hex');
      const api = apiByKey(key)!;
      const reader = new Reader(bytes);
      readHeaderRest(reader, readHeaderStart(reader), version >= api.pair.flexible);
      const body = reader.at;
      const message = api.readRequest(reader, version);
      assert.equal(reader.at, bytes.length, `${api.pair.name} ${version} is read to its end`);
      const writer = new Writer();
      api.request.write(writer, version, message);
      assert.deepEqual(Buffer.concat(writer.take()), bytes.subarray(body), api.pair.name);
    }
  });

  test(`what ${golden.client} was answered, and understood, is written the same again`, () => {
    for (const { key, version, response } of golden.frames) {
      if (response === undefined) continue;
      const bytes = Buffer.from(response, 'hex');
      const api = apiByKey(key)!;
      const reader = new Reader(bytes);
      reader.int32('correlationId');
      if (version >= api.pair.flexible && key !== API_VERSIONS) reader.skipTags('header.tags');
      const body = reader.at;
      const message = api.response.read(reader, version);
      assert.equal(reader.at, bytes.length, `${api.pair.name} ${version} is read to its end`);
      const writer = new Writer();
      api.response.write(writer, version, message);
      assert.deepEqual(Buffer.concat(writer.take()), bytes.subarray(body), api.pair.name);
    }
  });
}
