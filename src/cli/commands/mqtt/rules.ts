/** `robust-ctl mqtt auto-subscribe|rewrite …` */
import { type Command, Option } from 'commander';
import { api, toolOf } from '../../tool.ts';

export function addRules(mqtt: Command): void {
  const auto = mqtt.command('auto-subscribe').description('Filters that every client gets.');
  addList(auto, 'auto-subscribe', ['name', 'filter', 'qos', 'noLocal', 'retainHandling']);
  auto
    .command('set')
    .description('Add or replace a rule; %c and %u stand for the client and its user.')
    .argument('<name>')
    .argument('<filter>')
    .addOption(new Option('--qos <qos>').choices(['0', '1', '2']).default('0'))
    .action(async (name: string, filter: string, flags: { qos: string }, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.put(api`/mqtt/auto-subscribe/${name}`, { filter, qos: Number(flags.qos) });
      output.say(`${name} is set.`);
    });
  const rewrite = mqtt.command('rewrite').description('Rules that change topic names.');
  addList(rewrite, 'topic-rewrite', ['name', 'action', 'filter', 'expression', 'to']);
  rewrite
    .command('set')
    .description('Add or replace a rule.')
    .argument('<name>')
    .argument('<filter>', 'names that it is for')
    .argument('<expression>', 'a regular expression')
    .argument('<to>', 'the new name, with $1 to $9')
    .addOption(new Option('--on <action>').choices(['publish', 'subscribe', 'all']).default('all'))
    .action(
      async (
        name: string,
        filter: string,
        expression: string,
        to: string,
        flags: { on: string },
        command: Command,
      ) => {
        const { admin, output } = toolOf(command);
        const body = { action: flags.on, filter, expression, to };
        await admin.put(api`/mqtt/topic-rewrite/${name}`, body);
        output.say(`${name} is set.`);
      },
    );
}

function addList(group: Command, path: string, columns: readonly string[]): void {
  group
    .command('list')
    .description('List the rules.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(`${api`/mqtt`}/${path}`), columns);
    });
  group
    .command('delete')
    .description('Remove a rule.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(`${api`/mqtt`}/${path}/${encodeURIComponent(name)}`);
      output.say(`${name} is removed.`);
    });
}
