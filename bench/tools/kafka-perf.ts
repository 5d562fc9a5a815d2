/** kafka-producer-perf-test and kafka-consumer-perf-test, by their main classes. */

import { runLoad } from '../load/child.ts';
import { type LoadResult, PLAIN } from '../load/spec.ts';
import { KAFKA_LIBRARIES } from '../peers/apache-kafka.ts';
import type { ToolRun } from '../question.ts';
import { runTool } from './tool.ts';

const JAVA = ['-Xmx512m', '-cp', `${KAFKA_LIBRARIES}/*`];
const PAYLOAD_BYTES = 128;
const PRODUCED = 3_000_000;
const CONSUMED = 5_000_000;

export function producerPerf({ running, name, recordShare }: ToolRun): Promise<LoadResult> {
  return runTool({
    command: 'java',
    args: [
      ...[...JAVA, 'org.apache.kafka.tools.ProducerPerformance', '--topic', name],
      ...['--num-records', String(Math.round(PRODUCED * recordShare))],
      ...['--record-size', String(PAYLOAD_BYTES), '--throughput', '-1', '--producer-props'],
      ...[`bootstrap.servers=127.0.0.1:${running.port}`, 'acks=all', 'batch.size=65536'],
      'linger.ms=5',
    ],
    rate: /records sent, ([\d.]+) records\/sec/g,
    payloadBytes: PAYLOAD_BYTES,
  });
}

/** Our load stores what the tool then reads. */
export async function consumerPerf({ running, name, recordShare }: ToolRun): Promise<LoadResult> {
  const records = Math.round(CONSUMED * recordShare);
  const batch = 1_000;
  await runLoad({
    ...{ ...PLAIN, load: 'kafka-fetch', port: running.port, payloadBytes: PAYLOAD_BYTES },
    ...{ window: 5, batch, records, take: batch, warmMs: 0, runMs: 0, name },
  });
  return runTool({
    command: 'java',
    args: [
      ...[...JAVA, 'org.apache.kafka.tools.ConsumerPerformance', '--topic', `bench-${name}`],
      ...['--bootstrap-server', `127.0.0.1:${running.port}`, '--num-records', String(records)],
      ...['--timeout', '30000'],
    ],
    // start, end, MB, MB.sec, messages, messages.sec, rebalance.ms, fetch.ms, fetch.MB.sec, this.
    rate: /^\d{4}-.*, ([\d.]+)$/gm,
    payloadBytes: PAYLOAD_BYTES,
  });
}
