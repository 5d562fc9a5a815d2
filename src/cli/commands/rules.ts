/** `robust-ctl rules …` and `robust-ctl routes …` */
import type { Command } from 'commander';
import { api, toolOf } from '../tool.ts';

interface RuleFlags {
  readonly principal: string;
  readonly actions: string;
  readonly pattern: string;
  readonly kind: string;
  readonly prefix?: boolean;
  readonly host?: string;
}

export function addRules(program: Command): void {
  const rules = program.command('rules').description('Who may do what on which addresses.');
  rules
    .command('list')
    .description('List the rules.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/rules`), [
        'id',
        'effect',
        'principal',
        'actions',
        'kind',
        'pattern',
        'match',
        'host',
        'source',
      ]);
    });
  for (const effect of ['allow', 'deny'] as const) {
    rules
      .command(effect)
      .description(`Add or replace a rule that ${effect === 'allow' ? 'allows' : 'denies'}.`)
      .argument('<id>')
      .requiredOption('--principal <name>', 'a user, role:NAME, "anonymous", or * for everybody')
      .requiredOption('--actions <list>', 'such as publish,subscribe; all for every one')
      .requiredOption('--pattern <pattern>', 'addresses, such as sensors/#; else a name, or *')
      .option('--kind <kind>', 'address, stream, group, transaction or cluster', 'address')
      .option('--prefix', 'the pattern is how the names of that kind begin')
      .option('--host <address>', 'only for clients from there')
      .action(async (id: string, flags: RuleFlags, command: Command) => {
        const { admin, output } = toolOf(command);
        const { principal, pattern, kind, prefix = false, host } = flags;
        const actions = flags.actions.split(',').map((action) => action.trim());
        const match = prefix ? { match: 'prefix' } : {};
        const more = { kind, ...match, ...(host === undefined ? {} : { host }) };
        const rule = { effect, principal, actions, pattern, ...more };
        output.record(await admin.put(api`/rules/${id}`, rule));
      });
  }
  rules
    .command('reload')
    .description('Read the files of users and rules again.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.post(api`/auth/reload`, {}));
    });
  rules
    .command('delete')
    .description('Remove a rule.')
    .argument('<id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/rules/${id}`);
      output.say(`The rule ${id} is gone.`);
    });
}

export function addRoutes(program: Command): void {
  const routes = program.command('routes').description('Which addresses go to which stream.');
  routes
    .command('list')
    .description('List the routes.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/routes`), ['name', 'pattern', 'stream', 'key']);
    });
  routes
    .command('set')
    .description('Add or replace a route; it holds for what is published from then on.')
    .argument('<name>')
    .requiredOption('--pattern <pattern>', 'addresses, such as sensors/#')
    .requiredOption('--stream <name>', 'their home')
    .option('--key <rule>', 'none, or address: the address becomes the key', 'none')
    .action(
      async (
        name: string,
        flags: { pattern: string; stream: string; key: string },
        command: Command,
      ) => {
        const { admin, output } = toolOf(command);
        const { pattern, stream, key } = flags;
        output.record(await admin.put(api`/routes/${name}`, { pattern, stream, key }));
      },
    );
  routes
    .command('delete')
    .description('Remove a route.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/routes/${name}`);
      output.say(`The route ${name} is gone.`);
    });
}
