/** `robust-ctl time …` */
import type { Command } from 'commander';
import { api, toolOf } from '../tool.ts';

export function addTime(program: Command): void {
  const time = program.command('time').description('What waits for its time, by kind.');
  time
    .command('list')
    .description('List the kinds, how many entries wait and when the first is due.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/time`), ['kind', 'count', 'next']);
    });
  time
    .command('entries')
    .description('List the entries of a kind in the order of their time.')
    .argument('<kind>')
    .action(async (kind: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/time/${kind}`), ['id', 'due', 'bytes']);
    });
  time
    .command('cancel')
    .description('Cancel an entry.')
    .argument('<kind>')
    .argument('<id>')
    .action(async (kind: string, id: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/time/${kind}/${id}`);
      output.say(`${id} is cancelled.`);
    });
}
