/** What the figures depend on: machine, kernel, runtime, and what the disk needs for one flush. */

import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { freshFolder } from './peers/peer.ts';

export interface Facts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  /** Median of write + fdatasync of 4 KiB over blocks that are allocated already. */
  readonly flushUs: number;
}

export function factsOfMachine(): Facts {
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'));
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: system?.[1] ?? 'unknown',
    node: process.versions.node,
    flushUs: flushTimeUs(),
  };
}

/** 4 KiB written over allocated blocks and flushed, 300 times: the least that an fsync costs. */
export function flushTimeUs(): number {
  const file = join(freshFolder('flush'), 'file');
  const fd = openSync(file, 'w');
  const block = Buffer.alloc(4_096, 1);
  const blocks = 256;
  for (let i = 0; i < blocks; i++) writeSync(fd, block, 0, block.length, i * block.length);
  fdatasyncSync(fd);
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const started = performance.now();
    writeSync(fd, block, 0, block.length, (i % blocks) * block.length);
    fdatasyncSync(fd);
    times.push((performance.now() - started) * 1000);
  }
  closeSync(fd);
  rmSync(file);
  return median(times);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
