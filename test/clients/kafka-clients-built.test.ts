/**
 * franz-go, sarama, kafka-go of segmentio and rskafka, unmodified, in the programs of
 * programs/go-kafka and programs/rust-kafka. They are built first, which takes minutes: full tier.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SHORT_HEARTBEATS } from './kafka-heartbeats.ts';
import { run } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { ready } from './toolchains/index.ts';
import { kafkaGo, kafkaRust } from './toolchains/kafka-clients.ts';
import type { Toolchain } from './toolchains/toolchain.ts';

const SCENARIO_TIMEOUT_MS = 90_000;

/** Runs `PROGRAM SERVER SCENARIO` for each scenario, against one server. */
async function built(
  toolchain: Toolchain,
  program: string,
  scenarios: Readonly<Record<string, string>>,
): Promise<void> {
  const { folder, missing } = await ready(toolchain);
  describe(program, { skip: missing ?? false }, () => {
    let server: Server;
    before(async () => {
      server = await startServer({ flags: SHORT_HEARTBEATS });
    });
    after(() => server[Symbol.asyncDispose]());
    for (const [scenario, title] of Object.entries(scenarios)) {
      it(`${program}: ${title}`, async () => {
        const args = [server.address('kafka'), scenario];
        const options = { timeoutMs: SCENARIO_TIMEOUT_MS };
        const { text } = await run(path.join(folder ?? '', program), args, options);
        assert.equal(text.trim(), 'done');
      });
    }
  });
}

if (FULL) {
  await built(kafkaGo, 'franz', {
    codecs: 'idempotent batches of every codec come back byte for byte K22 K24 K28 K206',
    nulls: 'null and empty keys and values stay apart K24 K206',
    group: 'cooperative members share three partitions, go on at their offsets K61 K63 K206',
    next: 'members share by the assignor of the broker K64 K168 K206',
    seek: 'reads from a timestamp, the beginning, the end and after a seek K36 K102 K206',
    admin: 'topics, configs, partitions and records are changed and deleted K81 K121 K144 K206',
    groups: 'groups are listed, described with their lag, and deleted when empty K116 K142 K206',
    transactions: 'read_committed sees what was committed K69 K70 K71 K206',
    transform: 'consume, transform, produce: each record once, some given up K72 K206',
  });
  await built(kafkaGo, 'sarama', {
    codecs: 'idempotent batches of every codec come back byte for byte K22 K24 K28 K207',
    nulls: 'null keys and values come back K24 K207',
    group: 'two members share three partitions, and go on at their offsets K60 K63 K142 K207',
    seek: 'offsets by time, of the beginning and the end; none after the end K31 K36 K207',
    admin:
      'topics, configs, partitions and records are changed and deleted K81 K121 K135 K144 K207',
    transactions: 'read_committed sees what was committed, with offsets K69 K71 K128 K207',
  });
  await built(kafkaGo, 'segmentio', {
    codecs: 'batches of every codec come back byte for byte K22 K24 K211',
    nulls: 'empty keys and values come back K24 K211',
    group: 'two readers share three partitions, and go on at their offsets K60 K63 K142 K211',
    seek: 'reads from a timestamp, the beginning and after a seek K36 K102 K211',
    admin: 'topics, configs and partitions are changed and deleted K81 K137 K144 K211',
  });
  await built(kafkaRust, 'rskafka', {
    codecs: 'batches of every codec come back byte for byte K22 K24 K211',
    nulls: 'null and empty keys and values stay apart K24 K211',
    offsets:
      'deleted records are gone, offsets by time are right, none after the end K31 K121 K211',
    topics: 'topics are made once, listed and deleted K81 K119 K120 K211',
  });
}
