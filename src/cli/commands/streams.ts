/** `robust-ctl streams …` */
import { type Command, InvalidArgumentError } from 'commander';
import type { Row } from '../admin-client.ts';
import { api, toolOf } from '../tool.ts';

interface StreamFlags {
  readonly partitions?: number;
  readonly durability?: string;
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  readonly messageBytesMax?: number;
  readonly remote?: boolean;
}

export function addStreams(program: Command): void {
  const streams = program.command('streams').description('Streams: named logs with partitions.');
  streams
    .command('list')
    .description('List the streams.')
    .option('--hidden', 'with internal ones')
    .option('--search <text>', 'only names that contain this')
    .action(async (flags: { hidden?: boolean; search?: string }, command: Command) => {
      const { admin, output } = toolOf(command);
      const query = new URLSearchParams({
        hidden: String(flags.hidden ?? false),
        search: flags.search ?? '',
      });
      const rows = await admin.list(`${api`/streams`}?${query}`);
      output.rows(rows, ['name', 'partitions', 'durability', 'records', 'bytes']);
    });
  streams
    .command('show')
    .description('Show a stream with its partitions.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.get(api`/streams/${name}`));
    });
  settingFlags(streams.command('create').description('Make a stream.').argument('<name>'))
    .option('--durability <class>', 'memory, async or fsync')
    .action(async (name: string, flags: StreamFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.post(api`/streams`, { name, ...ownFlags(flags) }));
    });
  settingFlags(streams.command('change').description('Change a stream.').argument('<name>')).action(
    async (name: string, flags: StreamFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.patch(api`/streams/${name}`, ownFlags(flags)));
    },
  );
  streams
    .command('delete')
    .description('Remove a stream and its records, for all protocols.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/streams/${name}`);
      output.say(`The stream ${name} is gone.`);
    });
}

function settingFlags(command: Command): Command {
  return command
    .option('--partitions <count>', 'number of partitions', whole)
    .option('--retention-ms <ms>', 'keep records this long; -1 = no limit', whole)
    .option('--retention-bytes <bytes>', 'keep this much per partition; -1 = no limit', whole)
    .option('--message-bytes-max <bytes>', 'largest message', whole)
    .option('--remote <yes|no>', 'older records go to the object store', yesNo);
}

function ownFlags({
  partitions,
  durability,
  retentionMs,
  retentionBytes,
  messageBytesMax,
  remote,
}: StreamFlags): Row {
  const fields = { partitions, durability, retentionMs, retentionBytes, messageBytesMax, remote };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function yesNo(text: string): boolean {
  if (text === 'yes' || text === 'no') return text === 'yes';
  throw new InvalidArgumentError('Expected yes or no.');
}

function whole(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number.');
  }
  return value;
}
