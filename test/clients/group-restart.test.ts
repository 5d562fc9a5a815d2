/**
 * A group of librdkafka over restarts of the server: its member goes on with the partitions that it
 * has, and nobody is asked to join again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PATIENCE_MS, Program } from './program.ts';
import { pythonArguments, pythonEnvironment } from './python-scenarios.ts';
import { HOST, startServer } from './server.ts';
import { python, ready } from './toolchains/index.ts';

const { folder, missing } = await ready(python);
const MORE = 10;
/** Members of the consumer protocol beat as often as the server tells them. */
const SHORT_HEARTBEATS = ['heartbeat-interval-min', 'heartbeat-interval'].flatMap((name) => [
  `--kafka-consumer-${name}`,
  '300ms',
]);

describe('a group of librdkafka', { skip: missing ?? false }, () => {
  it('goes on after a stop and after a kill of the server without a rebalance K60 K62', () =>
    worksThroughRestarts('classic'));

  it('of the consumer protocol goes on in the same way K62 K64', () =>
    worksThroughRestarts('consumer'));

  async function worksThroughRestarts(protocol: string): Promise<void> {
    await using server = await startServer({ flags: SHORT_HEARTBEATS });
    const at = [HOST, String(server.ports.kafka), protocol];
    const args = pythonArguments('confluent_restart.py', at);
    const member = new Program('python3', args, { env: pythonEnvironment(folder ?? '') });
    try {
      const got = (number: number) =>
        member.line((line) => line === `got ${number}`, 2 * PATIENCE_MS);
      const last = (): number => {
        const numbers = member.lines.filter((line) => line.startsWith('got '));
        return Number(numbers.at(-1)!.slice(4));
      };
      await got(MORE);
      await server.restart();
      await got(last() + MORE);
      await server.kill();
      await server.start();
      await got(last() + MORE);
      const changes = member.lines.filter((line) => /^(assigned|revoked|lost)/.test(line));
      assert.deepEqual(changes, ['assigned 2']);
    } finally {
      await member.kill();
    }
  }

  it('static members keep their partitions when they start again with the server K60 K62', async () => {
    await using server = await startServer();
    const args = [HOST, String(server.ports.kafka), 'classic', 'pod-1'];
    const begin = () =>
      new Program('python3', pythonArguments('confluent_restart.py', args), {
        env: pythonEnvironment(folder ?? ''),
      });
    const first = begin();
    await first.line((line) => line === `got ${MORE}`, 2 * PATIENCE_MS);
    await first.kill();
    await server.restart();
    const second = begin();
    try {
      await second.line((line) => line === 'assigned 2', 2 * PATIENCE_MS);
      await second.line((line) => line.startsWith('got '), 2 * PATIENCE_MS);
    } finally {
      await second.kill();
    }
  });
});
