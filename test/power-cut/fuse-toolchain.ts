/** libfuse from the machine's packages and mfusepy from PyPI: what a mounted disk of ours needs. */
import { existsSync } from 'node:fs';
import { onPath, step, type Toolchain } from '../clients/toolchains/toolchain.ts';

const MFUSEPY = 'mfusepy==3.1.1';
const PACKAGE = 'libfuse2';
const DEVICE = '/dev/fuse';
const quiet = { env: { DEBIAN_FRONTEND: 'noninteractive' } };

export const fuse: Toolchain = {
  name: 'fuse',
  pins: [MFUSEPY, PACKAGE],
  lacks() {
    if (!existsSync(DEVICE)) return `no ${DEVICE}`;
    if (process.getuid?.() !== 0) return 'only root may mount';
    if (!onPath('python3')) return 'python3 is not installed';
    return onPath('apt-get') ? null : `${PACKAGE} cannot be installed: no apt-get`;
  },
  stillThere: () => existsSync(DEVICE),
  async install(folder) {
    const patient = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
    await step('apt-get', ['update', ...patient], quiet);
    const install = ['install', '-y', '--no-install-recommends', PACKAGE];
    await step('apt-get', [...install, ...patient], quiet);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    await step('python3', [...pip, '--target', folder, MFUSEPY]);
  },
  async versions() {
    const listed = await step('dpkg-query', ['--show', PACKAGE]);
    return [listed.trim().replaceAll('\t', ' '), MFUSEPY.replace('==', ' ')];
  },
};
