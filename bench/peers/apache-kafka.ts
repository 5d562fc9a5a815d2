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

function kafka(setting: string, durability: string, lines: readonly string[]): Side {
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
    ...lines,
  ];
  writeFileSync(config, `${all.join('\n')}\n`);
  const java = ['-Xms1g', '-Xmx1g', '-XX:+UseG1GC', '-cp', `${KAFKA_LIBRARIES}/*`];
  const format = ['format', '--standalone', '-t', CLUSTER_ID, '-c', config];
  runStep('java', [...java, 'kafka.tools.StorageTool', ...format], {});
  const server = new ServerProcess({
    command: 'java',
    args: [...java, 'kafka.Kafka', config],
    log: join(folder, 'server.log'),
  });
  await server.listens(port);
  return { port, kafkaPort: port, process: server, stop: () => server.stop() };
}

export const kafkaPageCache = kafka('usual', 'page cache, no fsync before the answer', []);
export const kafkaFlush = kafka('log.flush.interval.messages=1', 'fsync before the answer', [
  'log.flush.interval.messages=1',
]);
