/** Kafka Streams, Connect and MirrorMaker 2, for the full tier: RocksDB alone is 60 MB. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const POM = path.join(import.meta.dirname, 'kafka-programs.pom.xml');
const pom = readFileSync(POM, 'utf8');

export const kafkaPrograms: Toolchain = {
  name: 'kafka-programs',
  pins: [pom],
  lacks() {
    if (!onPath('java') || !onPath('javac')) return 'a Java development kit is not installed';
    return onPath('mvn') ? null : 'mvn (Maven) is not installed';
  },
  async install(folder) {
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
    await step('mvn', ['--quiet', '--batch-mode', '--file', POM, ...goal]);
  },
  async versions() {
    const version = /streams<\/artifactId>\s*<version>(\d+\.[^<]+)/.exec(pom)?.[1] ?? 'unknown';
    return [`Kafka Streams, Connect and MirrorMaker ${version}`];
  },
};
