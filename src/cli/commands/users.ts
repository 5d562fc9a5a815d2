/** `robust-ctl users …` */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { AdminError } from '../admin-client.ts';
import { api, toolOf } from '../tool.ts';

const NEW_PASSWORD_VARIABLE = 'ROBUSTMQ_CTL_NEW_PASSWORD';
const NEW_PASSWORD_HELP = `The password is asked for, or read from ${NEW_PASSWORD_VARIABLE}.`;

interface CreateFlags {
  readonly admin?: boolean;
  readonly loopbackOnly?: boolean;
  readonly roles?: string;
}

export function addUsers(program: Command): void {
  const users = program.command('users').description('Users and their passwords.');
  users
    .command('list')
    .description('List the users.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const columns = ['name', 'superuser', 'loopbackOnly', 'enabled', 'roles', 'source'];
      output.rows(await admin.list(api`/users`), columns);
    });
  users
    .command('create')
    .description(`Make a user. ${NEW_PASSWORD_HELP}`)
    .argument('<name>')
    .option('--admin', 'may do everything')
    .option('--loopback-only', 'may come from this machine only')
    .option('--roles <list>', 'names that rules can allow or deny together')
    .action(async (name: string, flags: CreateFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      const password = await newPassword();
      const { admin: superuser = false, loopbackOnly = false } = flags;
      const roles = flags.roles === undefined ? [] : listOf(flags.roles);
      const settings = { superuser, loopbackOnly, roles };
      output.record(await admin.post(api`/users`, { name, password, ...settings }));
    });
  for (const [verb, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    users
      .command(verb)
      .description(enabled ? 'Let a user in again.' : 'Shut a user out; its connections end.')
      .argument('<name>')
      .action(async (name: string, _flags: unknown, command: Command) => {
        const { admin, output } = toolOf(command);
        output.record(await admin.put(api`/users/${name}`, { enabled }));
      });
  }
  users
    .command('roles')
    .description('Set the roles of a user; "" for none.')
    .argument('<name>')
    .argument('<list>')
    .action(async (name: string, list: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.record(await admin.put(api`/users/${name}`, { roles: listOf(list) }));
    });
  users
    .command('password')
    .description(`Set the password of a user. ${NEW_PASSWORD_HELP}`)
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.put(api`/users/${name}/password`, { password: await newPassword() });
      output.say(`The password of ${name} is set.`);
    });
  users
    .command('delete')
    .description('Remove a user.')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      await admin.delete(api`/users/${name}`);
      output.say(`The user ${name} is gone.`);
    });
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** Never from the command line, where the whole machine can read it. */
async function newPassword(): Promise<string> {
  const given = process.env[NEW_PASSWORD_VARIABLE];
  if (given !== undefined && given !== '') return given;
  if (process.stdin.isTTY) process.stderr.write('New password: ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = process.stdin.isTTY === true;
  const reader = createInterface({ input: process.stdin, output: silent, terminal });
  const { value } = (await reader[Symbol.asyncIterator]().next()) as { value?: string };
  reader.close();
  if (terminal) process.stderr.write('\n');
  if (value === undefined || value === '') throw new AdminError('No password was given.');
  return value;
}
