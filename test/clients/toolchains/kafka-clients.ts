/**
 * Kafka clients of Go, Rust and Node. The first two are built here with the programs that use
 * them, which takes minutes on a small machine: the full tier only.
 */
import { copyFileSync, cpSync, globSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const PROGRAMS = path.resolve(import.meta.dirname, '../programs');
const GO_PROGRAMS = ['franz', 'sarama', 'segmentio'];
const PLATFORMATIC = '@platformatic/kafka';
const PLATFORMATIC_VERSION = '2.12.1';

/** The source is among the pins: another source is another program. */
function sources(folder: string, pattern: string): string[] {
  const files = globSync(pattern, { cwd: path.join(PROGRAMS, folder) }).sort();
  return files.map((file) => readFileSync(path.join(PROGRAMS, folder, file), 'utf8'));
}

export const kafkaGo: Toolchain = {
  name: 'kafka-go',
  pins: sources('go-kafka', '**/{go.mod,go.sum,*.go}'),
  lacks: () => (onPath('go') ? null : 'go is not installed'),
  async install(folder) {
    const packages = GO_PROGRAMS.map((program) => `./${program}`);
    const args = ['build', '-mod=readonly', '-o', folder, ...packages];
    await step('go', args, { cwd: path.join(PROGRAMS, 'go-kafka') });
  },
  async versions() {
    const direct = /^\t\S+\/(franz-go|sarama|kafka-go) v([\d.]+)$/gm;
    return [...this.pins.join('\n').matchAll(direct)].map(
      ([, name, version]) => `${name} ${version}`,
    );
  },
};

export const kafkaRust: Toolchain = {
  name: 'kafka-rust',
  pins: sources('rust-kafka', '**/{Cargo.toml,*.rs}'),
  lacks: () => (onPath('cargo') ? null : 'cargo is not installed'),
  async install(folder) {
    // In a copy: cargo writes beside the manifest, and nothing may be written into the sources.
    const copy = path.join(folder, 'source');
    cpSync(path.join(PROGRAMS, 'rust-kafka'), copy, { recursive: true });
    const target = path.join(folder, 'target');
    await step('cargo', ['build', '--quiet', '--target-dir', target], { cwd: copy });
    copyFileSync(path.join(target, 'debug', 'rskafka'), path.join(folder, 'rskafka'));
    rmSync(target, { recursive: true });
  },
  async versions() {
    const version = /^rskafka = "=([\d.]+)"/m.exec(this.pins.join('\n'))?.[1] ?? 'unknown';
    return [`rskafka ${version}`];
  },
};

export const kafkaNode: Toolchain = {
  name: 'kafka-node',
  pins: [PLATFORMATIC, PLATFORMATIC_VERSION],
  lacks: () => (onPath('npm') ? null : 'npm is not installed'),
  async install(folder) {
    const args = ['install', '--ignore-scripts', '--no-package-lock', '--prefix', folder];
    await step('npm', [...args, `${PLATFORMATIC}@${PLATFORMATIC_VERSION}`], { cwd: folder });
  },
  async versions() {
    return [`${PLATFORMATIC} ${PLATFORMATIC_VERSION}`];
  },
};
