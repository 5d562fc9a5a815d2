/**
 * `robust-server check-storage`: reads everything that is stored and tells what is damaged. For a
 * data folder that no server uses; `robust-ctl storage check` is for one that is in use.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { expectBrokerError, realClock, realRandom, realTimers } from '#kit';
import { checkCatalogue } from '#meta';
import { checkStorage, isSound, realFiles, type StorageCheck } from '#storage';
import { SERVER_OPTIONS } from '../server-options.ts';
import { META_FILE } from '../start-server.ts';
import { withOptionFlags } from './option-flags.ts';

/** What the program ends with. */
const EXIT = { sound: 0, damaged: 1, unchecked: 2 } as const;
/** What a repair writes is for the server's own user and group. */
const UMASK = 0o027;
const MIB = 2 ** 20;
/** Progress is shown each so many bytes. */
const PROGRESS_BYTES = 64 * MIB;

interface Flags {
  readonly repair?: boolean;
  readonly json?: boolean;
}

export function addCheckStorage(program: Command): void {
  const command = program
    .command('check-storage')
    .description(
      'Read everything that is stored and print what is damaged. Exit code 0: all is well, ' +
        '1: damage was found, 2: it could not be checked. No server may use the folder.',
    )
    .option('--repair', 'set damaged parts aside in damaged/ and put right what can be')
    .option('--json', 'print JSON');
  const { settings } = withOptionFlags(command);
  command.action(async (flags: Flags) => {
    const directory = path.resolve(settings().section('server', SERVER_OPTIONS).dataDir);
    process.exitCode = await run(directory, flags);
  });
}

async function run(directory: string, { repair = false, json = false }: Flags): Promise<number> {
  process.umask(UMASK);
  if (!existsSync(directory)) {
    process.stderr.write(`There is no folder ${directory}.\n`);
    return EXIT.unchecked;
  }
  let found: StorageCheck;
  try {
    found = await checkStorage({
      ...{ directory, repair, files: realFiles },
      ...{ clock: realClock, timers: realTimers, random: realRandom },
      onProgress: process.stderr.isTTY ? progress() : () => {},
    });
  } catch (error) {
    process.stderr.write(`${expectBrokerError(error).message}\n`);
    return EXIT.unchecked;
  }
  const catalogue = checkCatalogue(path.join(directory, META_FILE));
  const sound = isSound(found) && catalogue.length === 0;
  const text = json
    ? `${JSON.stringify({ sound, ...found, catalogue }, null, 2)}\n`
    : report(found, catalogue);
  process.stdout.write(text);
  return sound ? EXIT.sound : EXIT.damaged;
}

function progress(): (bytes: number) => void {
  let shown = 0;
  return (bytes) => {
    if (bytes - shown < PROGRESS_BYTES) return;
    shown = bytes;
    process.stderr.write(`\r${Math.floor(bytes / MIB)} MiB read`);
  };
}

function report(found: StorageCheck, catalogue: readonly string[]): string {
  const { files, bytes, entries, tornBytes, problems, lost, setAside } = found;
  const lines = [`${files} files, ${entries} entries, ${bytes} bytes were read.`];
  if (tornBytes > 0) {
    lines.push(`The last entry is not whole (${tornBytes} bytes): it was never acknowledged.`);
  }
  if (problems.length > 0) {
    lines.push(
      '',
      ...table(
        ['FILE', 'POSITION', 'BYTES', 'KIND', 'LOG', 'OFFSETS', 'WHAT'],
        problems.map(problemRow),
      ),
    );
  }
  if (lost.length > 0) {
    const rows = lost.map(({ logId, from, to, known, reason }) => {
      return [...place(logId, from, to), known ? 'known' : 'lost', reason];
    });
    lines.push('', ...table(['LOG', 'OFFSETS', 'STATE', 'REASON'], rows));
  }
  for (const sentence of catalogue) lines.push('', `The catalogue: ${sentence}`);
  if (setAside.length > 0) lines.push('', 'Set aside:', ...setAside.map((name) => `  ${name}`));
  const sound = isSound(found) && catalogue.length === 0;
  lines.push('', sound ? 'All is well, or known.' : 'There is damage; see above.');
  return `${lines.join('\n')}\n`;
}

function problemRow(problem: StorageCheck['problems'][number]): string[] {
  const { file, position, bytes, kind, logId, from, to, what } = problem;
  return [file, String(position), String(bytes), kind, ...place(logId, from, to), what];
}

function place(logId: number, from: number, to: number): [string, string] {
  return logId < 0 ? ['-', '-'] : [String(logId), `${from}-${to - 1}`];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, index) => Math.max(...all.map((row) => row[index]!.length)));
  return all.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd(),
  );
}
