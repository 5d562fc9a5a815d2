/** `robust-ctl storage …` */
import type { Command } from 'commander';
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
}
