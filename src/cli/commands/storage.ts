/** `robust-ctl storage …` */
import { type Command, InvalidArgumentError } from 'commander';
import type { AdminClient, Row } from '../admin-client.ts';
import { api, toolOf } from '../tool.ts';

export function addStorage(program: Command): void {
  const storage = program.command('storage').description('The disk and what lies on it.');
  storage
    .command('show')
    .description('Show health, use, what the last start found, and damaged ranges.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.get(api`/storage`));
    });
  storage
    .command('checkpoint')
    .description('Write a checkpoint now, so that the next start reads less.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.post(api`/storage/checkpoint`);
      output.say('The checkpoint is written.');
    });
  storage
    .command('status')
    .description('Show health and use, and the object store with what waits to go there.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const { health, usage, remote } = await admin.get(api`/storage`);
      output.record({ health, ...(usage as Row), ...prefixed('remote', remote as Row | null) });
    });
  storage
    .command('check')
    .description(
      'Read everything that is stored, beside the running server, and print what is damaged. ' +
        'Exit code 1 when there is damage.',
    )
    .option('--rate <MiB/s>', 'read at most this much in a second', rate)
    .option('--cancel', 'end the check that runs')
    .action(async (flags: { rate?: number; cancel?: boolean }, command: Command) => {
      const { admin, output } = toolOf(command);
      if (flags.cancel === true) {
        await admin.delete(api`/storage/check`);
        return output.say('No check is running any more.');
      }
      const wanted = flags.rate === undefined ? {} : { bytesPerSecond: flags.rate };
      await admin.post(api`/storage/check`, wanted);
      const found = await ended(admin);
      output.record(found);
      if (found['state'] !== 'done' || (found['problems'] as Row[]).length > 0) {
        process.exitCode = 1;
      }
    });
}

/** How often the server is asked how far the check is. */
const ASK_MS = 500;
const MIB = 2 ** 20;

/** Shows on a terminal how far the check is; what the server said when it had ended. */
async function ended(admin: AdminClient): Promise<Row> {
  for (;;) {
    const status = await admin.get(api`/storage/check`);
    if (status['state'] !== 'running') return status;
    if (process.stderr.isTTY) {
      const done = Math.floor(Number(status['bytes']) / MIB);
      process.stderr.write(
        `\r${done} of at most ${Math.ceil(Number(status['bytesMax']) / MIB)} MiB`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
}

function prefixed(prefix: string, row: Row | null): Row {
  if (row === null) return { [prefix]: 'none' };
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [`${prefix} ${name}`, value]),
  );
}

function rate(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('Expected a number above 0.');
  return Math.ceil(value * MIB);
}
