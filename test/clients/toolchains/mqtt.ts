/**
 * MQTT clients of Go, Rust and Java. The first two are built here with the programs that use them,
 * which takes minutes on a small machine: the full tier only.
 */
import { copyFileSync, cpSync, globSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const PROGRAMS = path.resolve(import.meta.dirname, '../programs');
const POM = path.join(import.meta.dirname, 'mqtt-clients.pom.xml');
const pom = readFileSync(POM, 'utf8');

/** The source is among the pins: another source is another program. */
function sources(folder: string, pattern: string): string[] {
  const files = globSync(pattern, { cwd: path.join(PROGRAMS, folder) }).sort();
  return files.map((file) => readFileSync(path.join(PROGRAMS, folder, file), 'utf8'));
}

export const mqttGo: Toolchain = {
  name: 'mqtt-go',
  pins: sources('go', '**/{go.mod,go.sum,*.go}'),
  lacks: () => (onPath('go') ? null : 'go is not installed'),
  async install(folder) {
    const args = ['build', '-mod=readonly', '-o', folder, './paho3', './paho5'];
    await step('go', args, { cwd: path.join(PROGRAMS, 'go') });
  },
  async versions() {
    return [...this.pins.join('\n').matchAll(/^\t.*\/(paho\S+) v([\d.]+)$/gm)].map(
      ([, name, version]) => `${name} ${version}`,
    );
  },
};

export const mqttRust: Toolchain = {
  name: 'mqtt-rust',
  pins: sources('rust', '**/{Cargo.toml,*.rs}'),
  lacks: () => (onPath('cargo') ? null : 'cargo is not installed'),
  async install(folder) {
    // In a copy: cargo writes beside the manifest, and nothing may be written into the sources.
    const copy = path.join(folder, 'source');
    cpSync(path.join(PROGRAMS, 'rust'), copy, { recursive: true });
    const target = path.join(folder, 'target');
    await step('cargo', ['build', '--quiet', '--target-dir', target], { cwd: copy });
    const program = 'mqtt-clients';
    copyFileSync(path.join(target, 'debug', program), path.join(folder, program));
    rmSync(target, { recursive: true });
  },
  async versions() {
    const version = /^rumqttc = .*"=([\d.]+)"/m.exec(this.pins.join('\n'))?.[1] ?? 'unknown';
    return [`rumqttc ${version}`];
  },
};

export const mqttJava: Toolchain = {
  name: 'mqtt-java',
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
    const clients = /<artifactId>(\S*mqtt\S*)<\/artifactId>\s*<version>([\d.]+\d)</g;
    return [...pom.matchAll(clients)].map(([, name, version]) => `${name} ${version}`);
  },
};
