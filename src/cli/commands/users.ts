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
}

export function addUsers(program: Command): void {
  const users = program.command('users').description('Users and their passwords.');
  users
    .command('list')
    .description('List the users.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      output.rows(await admin.list(api`/users`), ['name', 'superuser', 'loopbackOnly']);
    });
  users
    .command('create')
    .description(`Make a user. ${NEW_PASSWORD_HELP}`)
    .argument('<name>')
    .option('--admin', 'may do everything')
    .option('--loopback-only', 'may come from this machine only')
    .action(async (name: string, flags: CreateFlags, command: Command) => {
      const { admin, output } = toolOf(command);
      const password = await newPassword();
      const { admin: superuser = false, loopbackOnly = false } = flags;
      output.record(await admin.post(api`/users`, { name, password, superuser, loopbackOnly }));
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
