/**
 * Groups of the consumer protocol (KIP-848) with librdkafka: programs/python/
 * confluent_consumer_groups.py.
 */
import { after, before, describe, it } from 'node:test';
import { SHORT_HEARTBEATS } from './kafka-heartbeats.ts';
import { runPython } from './python-scenarios.ts';
import { HOST, type Server, startServer } from './server.ts';
import { python, ready } from './toolchains/index.ts';

const { folder, missing } = await ready(python);
const SCENARIOS: Readonly<Record<string, string>> = {
  share: 'two members share, the last one gets all, and committed offsets hold K64 K204',
  ranges: 'the range assignor of the server gives stretches K64',
  pattern: 'a regular expression is matched by the server, for later topics too K64',
  static: 'a static member that starts again finds its partitions K64',
  migrate: 'a group with members goes over to the newer protocol and back K65',
  describe: 'the group is listed and described with its type K64 K169',
};

describe('confluent-kafka with group.protocol=consumer', { skip: missing ?? false }, () => {
  let server: Server;
  before(async () => {
    server = await startServer({ flags: SHORT_HEARTBEATS });
  });
  after(() => server[Symbol.asyncDispose]());

  for (const [scenario, title] of Object.entries(SCENARIOS)) {
    it(title, async () => {
      const args = [HOST, String(server.ports.kafka), scenario];
      await runPython(folder ?? '', 'confluent_consumer_groups.py', args);
    });
  }
});
