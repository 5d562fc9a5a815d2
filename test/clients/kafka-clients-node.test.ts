/** @platformatic/kafka, unmodified: programs/node/platformatic.mjs, one process for all. */
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SHORT_HEARTBEATS } from './kafka-heartbeats.ts';
import { Program } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { ready } from './toolchains/index.ts';
import { kafkaNode } from './toolchains/kafka-clients.ts';

const SCENARIO_TIMEOUT_MS = 60_000;
const PROGRAM = path.join(import.meta.dirname, 'programs/node/platformatic.mjs');
const SCENARIOS: Readonly<Record<string, string>> = {
  codecs: 'idempotent batches of every codec come back byte for byte K22 K24 K28 K209',
  offsets: 'offsets by time, reads from an offset, and deleted records K36 K102 K121 K209',
  topics: 'topics grow, are configured and deleted K81 K137 K144 K209',
  transactions: 'read_committed sees what was committed K69 K71 K209',
  classic: 'two members share three partitions, and go on at their offsets K60 K63 K142 K209',
  consumer: 'two members of the newer protocol share, and go on at their offsets K64 K168 K209',
};

if (FULL) {
  const { folder, missing } = await ready(kafkaNode);

  describe('@platformatic/kafka', { skip: missing ?? false }, () => {
    let server: Server;
    let program: Program;
    before(async () => {
      server = await startServer({ flags: SHORT_HEARTBEATS });
      const args = [PROGRAM, folder ?? '', server.address('kafka'), ...Object.keys(SCENARIOS)];
      program = new Program(process.execPath, args);
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
