/**
 * mosquitto_pub/sub/rr, kcat and amqp-tools. They come from the machine's own packages, so the
 * version is the distribution's; as root on a Debian they are installed when they are missing.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { onPath, step, type Toolchain } from './toolchain.ts';

const PACKAGES = ['mosquitto-clients', 'kcat', 'amqp-tools'];
const COMMANDS = ['mosquitto_pub', 'mosquitto_sub', 'mosquitto_rr', 'kcat', 'amqp-publish'];
const quiet = { env: { DEBIAN_FRONTEND: 'noninteractive' } };

const absentCommands = () => COMMANDS.filter((command) => !onPath(command));

export const debian: Toolchain = {
  name: 'debian',
  pins: [...PACKAGES, ...COMMANDS],
  lacks() {
    const absent = absentCommands();
    if (absent.length === 0) return null;
    const root = process.getuid?.() === 0;
    if (onPath('apt-get') && root) return null;
    return `${absent.join(', ')} missing: install ${PACKAGES.join(', ')}`;
  },
  stillThere: () => absentCommands().length === 0,
  async install(folder) {
    if (absentCommands().length > 0) {
      const patient = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
      await step('apt-get', ['update', ...patient], quiet);
      const packages = ['install', '-y', '--no-install-recommends', ...PACKAGES];
      await step('apt-get', [...packages, ...patient], quiet);
    }
    writeFileSync(path.join(folder, 'installed'), (await this.versions(folder)).join('\n'));
  },
  async versions() {
    if (!onPath('dpkg-query')) return ['mosquitto-clients, kcat, amqp-tools of this machine'];
    const listed = await step('dpkg-query', ['--show', ...PACKAGES]);
    return listed.trim().replaceAll('\t', ' ').split('\n');
  },
};
