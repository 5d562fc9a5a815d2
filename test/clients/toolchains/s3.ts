/**
 * Servers of the S3 protocol: moto, which is quick to install, and versitygw over a real folder.
 */
import { onPath, step, type Toolchain } from './toolchain.ts';

const MOTO = ['moto[s3]==5.2.5', 'flask==3.1.3', 'flask-cors==6.0.5'];
const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw';
const VERSITYGW_VERSION = 'v1.8.0';

export const moto: Toolchain = {
  name: 'moto',
  pins: MOTO,
  lacks: () => (onPath('python3') ? null : 'python3 is not installed'),
  async install(folder) {
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    await step('python3', [...args, '--target', folder, ...MOTO]);
  },
  async versions() {
    return [MOTO[0]!.replace('==', ' ')];
  },
};

export const versitygw: Toolchain = {
  name: 'versitygw',
  pins: [VERSITYGW, VERSITYGW_VERSION],
  lacks: () => (onPath('go') ? null : 'go is not installed'),
  async install(folder) {
    await step('go', ['install', `${VERSITYGW}@${VERSITYGW_VERSION}`], {
      cwd: folder,
      env: { GOBIN: folder, GOFLAGS: '-mod=mod' },
    });
  },
  async versions() {
    return [`versitygw ${VERSITYGW_VERSION}`];
  },
};
