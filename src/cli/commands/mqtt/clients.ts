/** `robust-ctl mqtt clients …`: who is there, what waits for whom, and acting on behalf. */
import type { Command } from 'commander';
import { api, toolOf } from '../../tool.ts';

const COLUMNS = ['client', 'connected', 'user', 'peer', 'subscriptions', 'queued', 'inFlight'];
const SUBSCRIPTION_COLUMNS = ['filter', 'qos', 'noLocal', 'retainAsPublished', 'retainHandling'];

interface ListFlags {
  readonly id?: string;
  readonly user?: string;
  readonly ip?: string;
  readonly connected?: string;
}

export function addClients(mqtt: Command): void {
  const clients = mqtt.command('clients').description('Clients and their sessions.');
  clients
    .command('list')
    .description('List clients and sessions.')
    .option('--id <part>', 'whose identifier contains this')
    .option('--of <user>', 'of this user')
    .option('--ip <address>', 'from this address')
    .option('--connected <yes>', 'true or false')
    .action(async (flags: ListFlags & { of?: string }, command: Command) => {
      const { admin, output } = toolOf(command);
      const query = new URLSearchParams();
      if (flags.id !== undefined) query.set('client', flags.id);
      if (flags.of !== undefined) query.set('user', flags.of);
      if (flags.ip !== undefined) query.set('ip', flags.ip);
      if (flags.connected !== undefined) query.set('connected', flags.connected);
      output.rows(await admin.list(`${api`/mqtt/clients`}?${query}`), COLUMNS);
    });
  addLooks(clients);
  addActs(clients);
}

function addLooks(clients: Command): void {
  clients
    .command('show')
    .description('Show a client and its session.')
    .argument('<client>')
    .action(async (client: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.get(api`/mqtt/clients/${client}`));
    });
  for (const [name, columns, description] of [
    ['subscriptions', SUBSCRIPTION_COLUMNS, 'List its subscriptions.'],
    ['queue', ['position', 'topic', 'qos', 'at', 'bytes', 'payload'], 'Show what waits for it.'],
    ['inflight', ['packetId', 'qos', 'state'], 'Show what it has not acknowledged.'],
  ] as const) {
    clients
      .command(name)
      .description(description)
      .argument('<client>')
      .action(async (client: string, _flags: unknown, command: Command) => {
        const { admin, output } = toolOf(command);
        output.rows(await admin.list(`${api`/mqtt/clients/${client}`}/${name}`), columns);
      });
  }
}

function addActs(clients: Command): void {
  clients
    .command('kick')
    .description('Disconnect a client.')
    .argument('<client>')
    .option('--session', 'end its session too')
    .action(async (client: string, flags: { session?: boolean }, command: Command) => {
      const { admin, output } = toolOf(command);
      const query = flags.session === true ? '?session=true' : '';
      await admin.delete(`${api`/mqtt/clients/${client}`}${query}`);
      output.say(`${client} is disconnected.`);
    });
  clients
    .command('subscribe')
    .description('Subscribe a client on its behalf.')
    .argument('<client>')
    .argument('<filter>')
    .option('--qos <qos>', '0, 1 or 2', '0')
    .action(async (client: string, filter: string, flags: { qos: string }, command: Command) => {
      const { admin, output } = toolOf(command);
      const body = { filter, qos: Number(flags.qos) };
      output.record(await admin.post(api`/mqtt/clients/${client}/subscriptions`, body));
    });
  clients
    .command('unsubscribe')
    .description('End a subscription of a client.')
    .argument('<client>')
    .argument('<filter>')
    .action(async (client: string, filter: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const query = new URLSearchParams({ filter });
      await admin.delete(`${api`/mqtt/clients/${client}/subscriptions`}?${query}`);
      output.say(`${client} is no longer subscribed to ${filter}.`);
    });
}
