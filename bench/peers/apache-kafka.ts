/**
 * Apache Kafka from Maven Central, one node in KRaft mode. As usual it acknowledges from the page
 * cache; with a flush interval of one message it flushes before each answer, which is what ours
 * does.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installJars } from './maven.ts';
import { freshFolder, isInstalled, PEERS, type Running, runStep, type Side } from './peer.ts';
import { freePort, ServerProcess } from './server-process.ts';

const VERSION = '4.3.1';
const FOLDER = join(PEERS, `kafka-${VERSION}`);
export const KAFKA_LIBRARIES = join(FOLDER, 'libs');
/** Any 16 bytes in base64url serve as the cluster id. */
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';

const ARTEFACTS = [
  ['org.apache.kafka', 'kafka_2.13', VERSION],
  ['org.apache.kafka', 'kafka-tools', VERSION],
  ['org.slf4j', 'slf4j-nop', '1.7.36'],
] as const;

/** @param lines of its configuration, beyond what a single node needs */
export function kafkaWith(setting: string, durability: string, lines: readonly string[]): Side {
  return {
    name: 'kafka',
    setting,
    durability,
    install,
    version: () => VERSION,
    staysUp: true,
    start: () => startKafka(setting, lines),
  };
}

function install(): void {
  if (isInstalled(join(KAFKA_LIBRARIES, `kafka-tools-${VERSION}.jar`))) return;
  installJars(FOLDER, ARTEFACTS);
}

/** @param name of its folder */
export async function startKafka(name: string, lines: readonly string[]): Promise<Running> {
  return launchKafka(await prepareKafka(name, lines));
}

/** A formatted folder; a node can be started on it again and again, on the same ports. */
export interface KafkaFolder {
  readonly folder: string;
  readonly config: string;
  readonly port: number;
}

const JAVA = ['-Xms1g', '-Xmx1g', '-XX:+UseG1GC', '-cp', `${KAFKA_LIBRARIES}/*`];

/** @param name of its folder */
export async function prepareKafka(name: string, lines: readonly string[]): Promise<KafkaFolder> {
  const folder = freshFolder(`kafka-${name.replaceAll(/[^a-z]+/g, '-')}`);
  const [port, controller] = [await freePort(), await freePort()];
  const config = join(folder, 'server.properties');
  const all = [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.bootstrap.servers=127.0.0.1:${controller}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    `log.dirs=${join(folder, 'data')}`,
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    ...lines,
  ];
  writeFileSync(config, `${all.join('\n')}\n`);
  const format = ['format', '--standalone', '-t', CLUSTER_ID, '-c', config];
  runStep('java', [...JAVA, 'kafka.tools.StorageTool', ...format], {});
  return { folder, config, port };
}

export async function launchKafka({ folder, config, port }: KafkaFolder): Promise<Running> {
  const server = new ServerProcess({
    command: 'java',
    args: [...JAVA, 'kafka.Kafka', config],
    log: join(folder, 'server.log'),
  });
  await server.listens(port);
  const stop: Running['stop'] = (signal, patienceMs) => server.stop(signal, patienceMs);
  return { port, kafkaPort: port, process: server, stop };
}

export const kafkaPageCache = kafkaWith('usual', 'page cache, no fsync before the answer', []);
export const kafkaFlush = kafkaWith('log.flush.interval.messages=1', 'fsync before the answer', [
  'log.flush.interval.messages=1',
]);
