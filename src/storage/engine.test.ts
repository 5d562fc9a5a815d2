import { realFiles } from './files/real-files.ts';
import { VirtualFiles } from './files/virtual-files.ts';
import { engineContract } from './log-engine.contract.ts';
import { openTestEngine, seededRandom, temporaryDirectory } from './storage.fixture.ts';

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
