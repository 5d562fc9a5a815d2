/**
 * paho-mqtt, confluent-kafka, kafka-python, aiokafka, nats-py and pika, in a folder of their own
 * beside no other package.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const REQUIREMENTS = path.join(import.meta.dirname, 'requirements.txt');
const requirements = readFileSync(REQUIREMENTS, 'utf8');

export const python: Toolchain = {
  name: 'python',
  pins: [requirements],
  lacks: () => (onPath('python3') ? null : 'python3 is not installed'),
  async install(folder) {
    // --target needs neither a virtual environment nor write access to the system's packages.
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    await step('python3', [...args, '--target', folder, '--requirement', REQUIREMENTS]);
  },
  async versions() {
    const interpreter = await step('python3', ['--version']);
    return [interpreter.trim(), ...requirements.trim().split('\n').map(pinned)];
  },
};

function pinned(line: string): string {
  return line.replace('==', ' ');
}
