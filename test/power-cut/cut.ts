/** A power cut: the disk loses what was not synced, and the process is gone at the same moment. */
import path from 'node:path';
import { Server } from '../clients/server.ts';
import type { Seed } from '../load/seed.ts';
import type { Striker } from '../load/trial.ts';
import { ForgetfulDisk, type Losses } from './forgetful-disk.ts';

const WRITE_BACK = 0.05;

interface CutTotals {
  cuts: number;
  /** Cuts that came in the middle of a sync. */
  inSync: number;
  granules: number;
  names: number;
  sizes: number;
}

export interface PowerCut extends Striker {
  readonly totals: CutTotals;
}

/** @param toolchain folder with mfusepy */
export function powerCut(toolchain: string, seed: Seed, lies = false): PowerCut {
  const totals: CutTotals = { cuts: 0, inSync: 0, granules: 0, names: 0, sizes: 0 };
  const disks = new Map<Server, ForgetfulDisk>();
  return {
    totals,
    async open(flags) {
      const writeBack = lies ? 0 : WRITE_BACK;
      const disk = await ForgetfulDisk.open({ toolchain, seed, lies, writeBack });
      const server = new Server(path.join(disk.mountPoint, 'data'), { flags });
      disks.set(server, disk);
      await server.start();
      return server;
    },
    async strike(server) {
      const disk = disks.get(server)!;
      count(totals, await disk.cut());
      // The signal is there before a call on the disk returns, so nothing more leaves the server.
      const killed = server.kill();
      await disk.end();
      await killed;
      await disk.remount();
    },
    async close(server, keep) {
      const left = await disks.get(server)!.close(keep);
      disks.delete(server);
      if (keep) console.log(`evidence: ${left}`);
    },
  };
}

function count(totals: CutTotals, losses: Losses): void {
  totals.cuts++;
  if (losses.torn > 0) totals.inSync++;
  totals.granules += losses.granules + losses.torn - losses.kept;
  totals.names += losses.names;
  totals.sizes += losses.sizes;
}
