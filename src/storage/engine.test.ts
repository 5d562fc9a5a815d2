import { engineContract } from './log-engine.contract.ts';
import { realFiles } from './real-files.ts';
import { openTestEngine, seededRandom, temporaryDirectory } from './storage.fixture.ts';
import { VirtualFiles } from './virtual-files.ts';

engineContract('on virtual files', () => {
  const files = new VirtualFiles({ random: seededRandom(1) });
  return { open: (limits = {}) => openTestEngine({ files, limits }), end: () => {} };
});

engineContract('on real files', () => {
  const { path, remove } = temporaryDirectory();
  const directory = `${path}/data`;
  return {
    open: (limits = {}) => openTestEngine({ files: realFiles, directory, limits }),
    end: remove,
  };
});
