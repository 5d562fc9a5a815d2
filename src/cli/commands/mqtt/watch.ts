/** `robust-ctl mqtt slow|topic-metrics|trace …` */
import { type Command, Option } from 'commander';
import { api, toolOf } from '../../tool.ts';

export function addWatch(mqtt: Command): void {
  addSlow(mqtt);
  addTopicMetrics(mqtt);
  addTraces(mqtt);
}

function addSlow(mqtt: Command): void {
  const slow = mqtt.command('slow').description('Subscriptions whose messages take long.');
  slow
    .command('list')
    .description('List the slowest.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['client', 'topic', 'latencyMs', 'at'];
      output.rows(await admin.list(api`/mqtt/slow-subscriptions`), columns);
    });
  slow
    .command('clear')
    .description('Empty the list.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/mqtt/slow-subscriptions`);
      output.say('The list is empty.');
    });
  slow
    .command('watch')
    .description('Set, until the next start, from which latency one is slow; 0: none is.')
    .argument('<ms>')
    .action(async (ms: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.put(api`/mqtt/slow-subscriptions`, { thresholdMs: Number(ms) }));
    });
}

function addTopicMetrics(mqtt: Command): void {
  const topics = mqtt.command('topic-metrics').description('Counts of chosen topics.');
  topics
    .command('list')
    .description('List them with their counts.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['topic', 'in', 'inPerSecond', 'out', 'outPerSecond', 'dropped', 'since'];
      output.rows(await admin.list(api`/mqtt/topic-metrics`), columns);
    });
  topics
    .command('add')
    .description('Count a topic, or all that a filter matches.')
    .argument('<topic>')
    .action(async (topic: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.post(api`/mqtt/topic-metrics`, { topic });
      output.say(`${topic} is counted.`);
    });
  topics
    .command('remove')
    .description('Count it no more.')
    .argument('<topic>')
    .action(async (topic: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/mqtt/topic-metrics/${topic}`);
      output.say(`${topic} is not counted any more.`);
    });
}

function addTraces(mqtt: Command): void {
  const trace = mqtt.command('trace').description('What one client, topic or address does.');
  trace
    .command('list')
    .description('List the traces.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['name', 'type', 'value', 'state', 'ends', 'lines', 'bytes'];
      output.rows(await admin.list(api`/mqtt/traces`), columns);
    });
  trace
    .command('start')
    .description('Start one.')
    .argument('<name>')
    .addOption(new Option('--type <type>').choices(['clientid', 'topic', 'ip']).default('clientid'))
    .requiredOption('--value <value>', 'a client identifier, a topic filter, an address')
    .option('--seconds <seconds>', 'how long', '600')
    .action(
      async (
        name: string,
        flags: { type: string; value: string; seconds: string },
        command: Command,
      ) => {
        const { admin, output } = toolOf(command);
        const { type, value, seconds } = flags;
        const body = { type, value, seconds: Number(seconds) };
        output.record(await admin.post(api`/mqtt/traces/${name}`, body));
      },
    );
  trace
    .command('stop')
    .description('End one; its text stays.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.post(api`/mqtt/traces/${name}/stop`));
    });
  trace
    .command('download')
    .description('Print the text of one.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      process.stdout.write(await toolOf(command).admin.text(api`/mqtt/traces/${name}`));
    });
  trace
    .command('delete')
    .description('End one and forget its text.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/mqtt/traces/${name}`);
      output.say(`${name} is deleted.`);
    });
}
