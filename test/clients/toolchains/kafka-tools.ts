/** Apache Kafka's own tools (console producer and consumer, topics, groups), run by class name. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const POM = path.join(import.meta.dirname, 'pom.xml');
const pom = readFileSync(POM, 'utf8');

export const kafkaTools: Toolchain = {
  name: 'kafka-tools',
  pins: [pom],
  lacks() {
    if (!onPath('java')) return 'java is not installed';
    return onPath('mvn') ? null : 'mvn (Maven) is not installed';
  },
  async install(folder) {
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    await step('mvn', ['--quiet', '--batch-mode', '--file', POM, ...goal]);
  },
  async versions() {
    const version =
      />kafka-tools<\/artifactId>\s*<version>(\d+\.[^<]+)/.exec(pom)?.[1] ?? 'unknown';
    return [`Apache Kafka tools ${version}`];
  },
};

/** Arguments for `java` that run one of the tools; a short-lived JVM starts faster like this. */
export function kafkaToolArguments(folder: string, tool: string): string[] {
  const quickStart = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx256m'];
  return [...quickStart, '-cp', path.join(folder, '*'), `org.apache.kafka.tools.${tool}`];
}
