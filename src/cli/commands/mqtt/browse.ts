/** `robust-ctl mqtt publish|retained|delayed|groups …` */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { api, toolOf } from '../../tool.ts';

interface PublishFlags {
  readonly qos: string;
  readonly retain?: boolean;
  readonly client?: string;
}

export function addBrowse(mqtt: Command): void {
  addPublish(mqtt);
  addRetained(mqtt);
  addDelayed(mqtt);
  addGroups(mqtt);
}

function addPublish(mqtt: Command): void {
  mqtt
    .command('publish')
    .description('Publish a message.')
    .argument('<topic>')
    .argument('<payload>')
    .addOption(new Option('--qos <qos>').choices(['0', '1', '2']).default('1'))
    .option('--retain', 'keep it as the last value')
    .option('--client <id>', 'in the name and with the rights of this client')
    .action(async (topic: string, payload: string, flags: PublishFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      const { qos, retain = false, client = '' } = flags;
      await admin.post(api`/mqtt/publish`, { topic, payload, qos: Number(qos), retain, client });
      output.say('Published.');
    });
  mqtt
    .command('publish-many')
    .description('Publish the messages of a file: a JSON array of {topic, payload, qos, …}.')
    .argument('<file>')
    .action(async (file: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const messages: unknown = JSON.parse(await readFile(file, 'utf8'));
      output.record(await admin.post(api`/mqtt/publish/bulk`, { messages }));
    });
}

function addRetained(mqtt: Command): void {
  const retained = mqtt.command('retained').description('Retained messages.');
  retained
    .command('list')
    .description('List them by filter.')
    .argument('[filter]', 'all that no first-level wildcard hides', '#')
    .action(async (filter: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const path = `${api`/mqtt/retained`}?${new URLSearchParams({ filter })}`;
      output.rows(await admin.list(path), ['topic', 'qos', 'bytes', 'client', 'at', 'expires']);
    });
  retained
    .command('show')
    .description('Show the retained message of a topic.')
    .argument('<topic>')
    .action(async (topic: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.get(api`/mqtt/retained/${topic}`));
    });
  retained
    .command('delete')
    .description('Remove those that a filter matches.')
    .argument('<filter>')
    .action(async (filter: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const path = `${api`/mqtt/retained`}?${new URLSearchParams({ filter })}`;
      output.record(await admin.delete(path));
    });
}

function addDelayed(mqtt: Command): void {
  const delayed = mqtt.command('delayed').description('Messages that wait for their time.');
  delayed
    .command('list')
    .description('List them in the order of their times.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const rows = await admin.list(api`/mqtt/delayed`);
      output.rows(rows, ['id', 'topic', 'due', 'client', 'qos', 'bytes']);
    });
  delayed
    .command('delete')
    .description('Take one back.')
    .argument('<id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/mqtt/delayed/${id}`);
      output.say(`${id} will not be published.`);
    });
}

function addGroups(mqtt: Command): void {
  const groups = mqtt.command('groups').description('Shared subscriptions.');
  groups
    .command('list')
    .description('List them with their members, strategy and lag.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['group', 'filter', 'strategy', 'members', 'online', 'lag', 'inFlight'];
      output.rows(await admin.list(api`/mqtt/groups`), columns);
    });
  groups
    .command('strategy')
    .description('Choose how a group chooses a member.')
    .argument('<group>')
    .argument('<strategy>')
    .action(async (group: string, strategy: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.put(api`/mqtt/groups/${group}/strategy`, { strategy }));
    });
  groups
    .command('forget')
    .description('Forget a shared subscription without members.')
    .argument('<group>')
    .argument('<filter>')
    .action(async (group: string, filter: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(`${api`/mqtt/groups/${group}`}?${new URLSearchParams({ filter })}`);
      output.say(`${group} of ${filter} is forgotten.`);
    });
}
