/** RabbitMQ PerfTest, from Maven Central. */

import { join } from 'node:path';
import type { LoadResult } from '../load/spec.ts';
import { installJars } from '../peers/maven.ts';
import { isInstalled, PEERS } from '../peers/peer.ts';
import type { ToolRun } from '../question.ts';
import { runTool } from './tool.ts';

const VERSION = '2.22.1';
const FOLDER = join(PEERS, `perf-test-${VERSION}`);
const PAYLOAD_BYTES = 128;

/** One producer with confirms, one consumer that acknowledges; counts what arrives. */
export function perfTest({ running, name, runMs }: ToolRun): Promise<LoadResult> {
  if (!isInstalled(join(FOLDER, 'libs', `perf-test-${VERSION}.jar`))) {
    installJars(FOLDER, [['com.rabbitmq', 'perf-test', VERSION]]);
  }
  return runTool({
    command: 'java',
    args: [
      ...['-Xmx512m', '-cp', `${join(FOLDER, 'libs')}/*`, 'com.rabbitmq.perf.PerfTest'],
      ...['--uri', `amqp://guest:guest@127.0.0.1:${running.port}/%2f`, '--queue', name],
      ...['--time', String(Math.ceil(runMs / 1000) + 2), '--size', String(PAYLOAD_BYTES)],
      ...['--auto-delete', 'false', '--flag', 'persistent', '--confirm', '1000'],
      ...['--qos', '1000', '--multi-ack-every', '100'],
    ],
    rate: /receiving rate avg: (\d+) msg\/s/g,
    payloadBytes: PAYLOAD_BYTES,
  });
}
