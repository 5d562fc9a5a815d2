/**
 * A folder with Debian unstable's Mosquitto and RabbitMQ, the newest releases to be had as
 * packages. The packages are only unpacked: no maintainer script runs, no service starts. Programs
 * run in it by chroot within a mount namespace of their own, which ends with them.
 */

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, isInstalled, outputOf, PEERS, runStep } from './peer.ts';
import type { ServerCommand } from './server-process.ts';

export const DEBIAN_ROOT = join(PEERS, 'debian-unstable');
const PACKAGES = 'mosquitto,rabbitmq-server';
const ARCHIVES = join(DEBIAN_ROOT, 'var/cache/apt/archives');
const COMPLETE = join(DEBIAN_ROOT, '.complete');
/** Where the run folders of the benchmark appear inside. */
export const INSIDE = '/bench';

const ENTER = [
  'root=$1; runs=$2; shift 2',
  'for d in dev proc sys; do mount --rbind /$d "$root/$d" || exit 1; done',
  `mount --bind "$runs" "$root${INSIDE}" || exit 1`,
  'exec chroot "$root" "$@"',
].join('\n');

export function installDebianRoot(): void {
  if (isInstalled(COMPLETE)) return;
  if (process.getuid?.() !== 0) throw new Error('unpacking Debian packages needs root');
  if (!isInstalled('/usr/sbin/debootstrap')) {
    runStep('apt-get', ['install', '-y', '-q', 'debootstrap'], {});
  }
  mkdirSync(PEERS, { recursive: true });
  const wanted = ['--download-only', '--variant=minbase', `--include=${PACKAGES}`];
  runStep('debootstrap', [...wanted, 'sid', DEBIAN_ROOT], {});
  for (const name of readdirSync(ARCHIVES).filter((file) => file.endsWith('.deb'))) {
    runStep('dpkg-deb', ['-x', join(ARCHIVES, name), DEBIAN_ROOT], {});
  }
  runStep('chroot', [DEBIAN_ROOT, '/usr/sbin/ldconfig'], {});
  mkdirSync(join(DEBIAN_ROOT, INSIDE), { recursive: true });
  writeFileSync(join(DEBIAN_ROOT, 'etc/hosts'), '127.0.0.1 localhost\n');
  writeFileSync(COMPLETE, '');
}

/** The upstream version of an unpacked package. */
export function debianVersion(name: string): string {
  const file = readdirSync(ARCHIVES).find((archive) => archive.startsWith(`${name}_`));
  return file?.split('_')[1]?.replace(/-[^-]*$/, '') ?? 'unknown';
}

/** The command that runs a program of the root; run folders are under `INSIDE`. */
export function inDebianRoot(command: string, args: readonly string[]): Omit<ServerCommand, 'log'> {
  const enter = ['-m', 'sh', '-c', ENTER, 'sh', DEBIAN_ROOT, join(CACHE, 'bench')];
  return { command: 'unshare', args: [...enter, command, ...args] };
}

export function debianOutput(command: string, args: readonly string[]): string {
  const { command: shell, args: all } = inDebianRoot(command, args);
  return outputOf(shell, all);
}
