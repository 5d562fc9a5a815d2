/** Producer, consumer and admin of the Java client: programs/java/Clients.java, one JVM for all. */
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SHORT_HEARTBEATS } from './kafka-heartbeats.ts';
import { Program } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaTools, ready } from './toolchains/index.ts';

const SCENARIO_TIMEOUT_MS = 90_000;
const PROGRAM = path.join(import.meta.dirname, 'programs/java/Clients.java');
const SCENARIOS: Readonly<Record<string, string>> = {
  codecs: 'idempotent batches of every codec come back byte for byte K22 K24 K28 K200 K201',
  nulls: 'null and empty keys and values stay apart K24 K200 K201',
  classic: 'two members share three partitions, and go on at their offsets K60 K63 K201',
  consumer: 'two members of the newer protocol share, and go on at their offsets K64 K168 K201',
  seek: 'reads from a timestamp, the beginning and the end K36 K102 K201',
  topics: 'topics grow, are configured, described and deleted K80 K81 K137 K144 K175 K203',
  offsets: 'deleted records are gone; offsets by every specification K36 K102 K121 K203',
  groups: 'groups are listed, their offsets changed, and deleted when empty K116 K142 K147 K203',
};

if (FULL) {
  const { folder, missing } = await ready(kafkaTools);

  describe('the Java client', { skip: missing ?? false }, () => {
    let server: Server;
    let program: Program;
    before(async () => {
      server = await startServer({ flags: SHORT_HEARTBEATS });
      const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m'];
      const source = ['-cp', path.join(folder ?? '', '*'), PROGRAM, server.address('kafka')];
      program = new Program('java', [...jvm, ...source, ...Object.keys(SCENARIOS)]);
    });
    after(async () => {
      await program.kill();
      await server[Symbol.asyncDispose]();
    });

    for (const [scenario, title] of Object.entries(SCENARIOS)) {
      it(title, async () => {
        await program.line((line) => line === `ok ${scenario}`, SCENARIO_TIMEOUT_MS);
      });
    }
  });
}
