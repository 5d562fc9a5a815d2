/** `robust-ctl queues …` and `robust-ctl groups …` */
import type { Command } from 'commander';
import { api, toolOf } from '../tool.ts';

export function addQueues(program: Command): void {
  const queues = program.command('queues').description('Queues of all protocols.');
  queues
    .command('list')
    .description('List the queues.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['name', 'durable', 'ready', 'unacked', 'consumers', 'pinnedBytes'];
      output.rows(await admin.list(api`/queues`), columns);
    });
  queues
    .command('purge')
    .description('Drop the ready messages of a queue.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.post(api`/queues/${name}/purge`));
    });
}

export function addGroups(program: Command): void {
  const groups = program.command('groups').description('Groups with committed positions.');
  groups
    .command('list')
    .description('List the groups and how far they lag behind.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/groups`), ['name', 'partitions', 'lag']);
    });
  groups
    .command('show')
    .description('Show the positions of a group.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.get(api`/groups/${name}`));
    });
  groups
    .command('delete')
    .description('Forget the positions of a group.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/groups/${name}`);
      output.say(`The positions of ${name} are gone.`);
    });
}
