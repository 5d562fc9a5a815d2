/** `robust-ctl bans …`, `robust-ctl drain` and `robust-ctl tls reload` */
import type { Command } from 'commander';
import { AdminError } from '../admin-client.ts';
import { api, toolOf } from '../tool.ts';

interface AddFlags {
  readonly for?: string;
  readonly reason?: string;
}

interface DrainFlags {
  readonly rate: string;
  readonly reference: string;
  readonly status?: boolean;
}

const KINDS = 'client, client-pattern, user, address or range';
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

export function addBans(program: Command): void {
  const bans = program.command('bans').description('Who may not come in, whatever the protocol.');
  bans
    .command('list')
    .description('List the bans.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/bans`), ['kind', 'value', 'until', 'reason']);
    });
  bans
    .command('add')
    .description('Ban somebody, and close what he has open.')
    .argument('<kind>', KINDS)
    .argument('<value>')
    .option('--for <time>', 'such as 30s, 10m, 2h, 7d; without it until it is lifted')
    .option('--reason <text>', 'why')
    .action(async (kind: string, value: string, flags: AddFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      const { reason = '' } = flags;
      const time = flags.for === undefined ? {} : { seconds: secondsOf(flags.for) };
      output.record(await admin.post(api`/bans`, { kind, value, reason, ...time }));
    });
  bans
    .command('lift')
    .description('Let somebody in again.')
    .argument('<kind>', KINDS)
    .argument('<value>')
    .action(async (kind: string, value: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/bans/${kind}/${value}`);
      output.say(`The ${kind} ${value} may come in again.`);
    });
}

export function addDrain(program: Command): void {
  program
    .command('drain')
    .description('Close the ports of the protocols and send the clients away.')
    .option('--rate <count>', 'clients a second; 0 sends all at once', '0')
    .option('--reference <servers>', 'other servers that clients are told of, as host:port', '')
    .option('--status', 'only tell how far it is')
    .action(async ({ rate, reference, status }: DrainFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      if (status === true) {
        output.record(await admin.get(api`/drain`));
        return;
      }
      const perSecond = Number(rate);
      if (!Number.isInteger(perSecond) || perSecond < 0) {
        throw new AdminError('--rate is a whole number.');
      }
      output.record(await admin.post(api`/drain`, { perSecond, reference }));
    });
}

export function addTls(program: Command): void {
  const tls = program.command('tls').description('Certificates of the listeners.');
  tls
    .command('reload')
    .description('Load the files again; connections stay open.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const { changed } = await admin.post(api`/tls/reload`);
      output.say(changed === 0 ? 'Nothing has changed.' : 'The new files are in force.');
    });
}

function secondsOf(text: string): number {
  const [, count, unit = 's'] = /^(\d+)([smhd]?)$/.exec(text) ?? [];
  if (count === undefined) throw new AdminError('--for is a time such as 30s, 10m, 2h or 7d.');
  return Number(count) * (UNITS[unit === '' ? 's' : unit] ?? 1);
}
