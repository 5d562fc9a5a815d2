/**
 * The example programs of nats.go: nats-sub, nats-pub, nats-qsub, nats-req, nats-rply, nats-bench.
 */
import { onPath, step, type Toolchain } from './toolchain.ts';

const MODULE = 'github.com/nats-io/nats.go';
const VERSION = 'v1.55.0';
const PROGRAMS = ['nats-sub', 'nats-pub', 'nats-qsub', 'nats-req', 'nats-rply', 'nats-bench'];

export const natsGo: Toolchain = {
  name: 'nats-go',
  pins: [MODULE, VERSION, ...PROGRAMS],
  lacks: () => (onPath('go') ? null : 'go is not installed'),
  async install(folder) {
    const packages = PROGRAMS.map((program) => `${MODULE}/examples/${program}@${VERSION}`);
    await step('go', ['install', ...packages], {
      // The scratch folder as working folder: no go.mod around it decides anything.
      cwd: folder,
      env: { GOBIN: folder, GOFLAGS: '-mod=mod' },
    });
  },
  async versions() {
    const compiler = await step('go', ['version']);
    return [compiler.trim(), `nats.go ${VERSION} (${PROGRAMS.join(', ')})`];
  },
};
