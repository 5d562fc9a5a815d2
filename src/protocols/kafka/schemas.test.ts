/**
 * Every request and response, in every version that is told, against bytes that the Java client of
 * Kafka lays out by its own schemas: written by test/clients/programs/java/KafkaSchemas.java.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { apiByKey } from './codec.ts';
import { MESSAGES } from './messages/index.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

const FILE = '../../../test/golden/kafka/kafka-clients-4.3.1-schemas.txt';

interface Body {
  readonly key: number;
  readonly version: number;
  readonly side: 'request' | 'response';
  readonly fill: string;
  readonly bytes: Buffer;
}

const bodies: Body[] = readFileSync(new URL(FILE, import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [key, version, side, fill, hex] = line.split(' ');
    return {
      ...{ key: Number(key), version: Number(version) },
      ...{ side: side as Body['side'], fill: fill!, bytes: Buffer.from(hex!, 'hex') },
    };
  });

describe('bodies by the schemas of the Java client', () => {
  for (const pair of MESSAGES) {
    const api = apiByKey(pair.key)!;
    const told = bodies.filter(({ key, version }) => key === pair.key && api.supports(version));

    test(`${pair.name} is read to its end and written the same again in each version K7`, () => {
      const [first, last] = pair.versions;
      for (let version = first; version <= last; version++) {
        const count = told.filter((body) => body.version === version).length;
        assert.equal(count, 4, `bodies of version ${version}`);
      }
      for (const { version, side, fill, bytes } of told) {
        const what = `${side} ${version}, ${fill}`;
        const reader = new Reader(bytes);
        const message = api[side].read(reader, version);
        assert.equal(reader.at, bytes.length, `${what}: read to its end`);
        const writer = new Writer();
        api[side].write(writer, version, message);
        assert.equal(Buffer.concat(writer.take()).toString('hex'), bytes.toString('hex'), what);
      }
    });
  }
});
