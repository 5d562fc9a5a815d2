/** Kafka's own perf tools, by their main classes. */

import { KAFKA_LIBRARIES } from '../peers/apache-kafka.ts';
import { figureOfTool, outputOfTool } from './tool.ts';

const PAYLOAD_BYTES = 128;
const LINGER_MS = 5;
const PATIENCE_MS = 30_000;

/** What all tools are told. */
export interface PerfRun {
  readonly port: number;
  readonly topic: string;
  readonly records: number;
}

function java(main: string, args: readonly string[]) {
  const tool = `org.apache.kafka.tools.${main}`;
  return { command: 'java', args: ['-Xmx512m', '-cp', `${KAFKA_LIBRARIES}/*`, tool, ...args] };
}

/** kafka-producer-perf-test, as fast as it can. @returns records in a second */
export function producerPerf(run: PerfRun & { readonly batchBytes: number }): Promise<number> {
  const { port, topic, records, batchBytes } = run;
  const program = java('ProducerPerformance', [
    ...['--topic', topic, '--num-records', String(records)],
    ...['--record-size', String(PAYLOAD_BYTES), '--throughput', '-1', '--producer-props'],
    ...[`bootstrap.servers=127.0.0.1:${port}`, 'acks=all', `batch.size=${batchBytes}`],
    `linger.ms=${LINGER_MS}`,
  ]);
  return figureOfTool(program, /records sent, ([\d.]+) records\/sec/g);
}

/** kafka-consumer-perf-test from the start; waiting for its group is not in the figure. */
export function consumerPerf({ port, topic, records }: PerfRun): Promise<number> {
  const program = java('ConsumerPerformance', [
    ...['--topic', topic, '--bootstrap-server', `127.0.0.1:${port}`],
    ...['--num-records', String(records), '--timeout', String(PATIENCE_MS)],
  ]);
  // start, end, MB, MB.sec, messages, messages.sec, rebalance.ms, fetch.ms, fetch.MB.sec, this.
  return figureOfTool(program, /^\d{4}-.*, ([\d.]+)$/gm);
}

/** kafka-share-consumer-perf-test. Joining the group is in its figure. */
export function sharePerf({ port, topic, records }: PerfRun, group: string): Promise<number> {
  const program = java('ShareConsumerPerformance', [
    ...['--topic', topic, '--bootstrap-server', `127.0.0.1:${port}`, '--group', group],
    ...['--num-records', String(records), '--timeout', String(PATIENCE_MS)],
  ]);
  // start, end, MB, MB.sec, this, messages, fetch.ms
  return figureOfTool(program, /^\d{4}-[^,]*, [^,]*, [^,]*, [^,]*, ([\d.]+), \d+, \d+$/gm);
}

export interface EndToEnd {
  readonly averageUs: number;
  /** The tool knows percentiles in whole milliseconds only. */
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** kafka-e2e-latency: one record at a time, from before it is sent until it was received. */
export async function endToEndLatency({ port, topic, records }: PerfRun): Promise<EndToEnd> {
  const program = java('EndToEndLatency', [
    ...['--bootstrap-server', `127.0.0.1:${port}`, '--topic', topic],
    ...['--num-records', String(records), '--producer-acks', 'all'],
    ...['--record-size', String(PAYLOAD_BYTES)],
  ]);
  const out = await outputOfTool(program);
  const of = (pattern: RegExp): number => {
    const found = pattern.exec(out)?.[1];
    if (found === undefined) throw new Error(`kafka-e2e-latency says ${out.trim().slice(-300)}`);
    return Number(found);
  };
  return {
    averageUs: 1_000 * of(/Avg latency: ([\d.]+) ms/),
    p99Ms: of(/99th = (\d+)/),
    p999Ms: of(/99\.9th = (\d+)/),
  };
}
