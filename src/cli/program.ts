/** All commands of `robust-ctl`, one file each. */
import { Command, Option } from 'commander';
import { addBans, addDrain, addTls } from './commands/admission.ts';
import { addConnections } from './commands/connections.ts';
import { addListeners } from './commands/listeners.ts';
import { addMqtt } from './commands/mqtt/index.ts';
import { addGroups, addQueues } from './commands/queues.ts';
import { addRoutes, addRules } from './commands/rules.ts';
import { addStatus } from './commands/status.ts';
import { addStorage } from './commands/storage.ts';
import { addStreams } from './commands/streams.ts';
import { addTime } from './commands/time.ts';
import { addUsers } from './commands/users.ts';
import { DEFAULT_URL, PASSWORD_VARIABLE, URL_VARIABLE, USER_VARIABLE } from './tool.ts';

export function ctlProgram(): Command {
  const program = new Command('robust-ctl')
    .description('Looks at a running server and changes what it holds, over its admin API.')
    .addOption(new Option('--url <url>', 'the admin API').env(URL_VARIABLE).default(DEFAULT_URL))
    .addOption(new Option('--user <name>', 'administrator').env(USER_VARIABLE).default('admin'))
    .addOption(
      new Option('--password <text>', 'better given in the environment')
        .env(PASSWORD_VARIABLE)
        .default('robustmq', 'that of the first start'),
    )
    .option('--json', 'print JSON')
    .showHelpAfterError('(see --help)');
  addStatus(program);
  addListeners(program);
  addConnections(program);
  addStreams(program);
  addQueues(program);
  addGroups(program);
  addTime(program);
  addMqtt(program);
  addBans(program);
  addDrain(program);
  addTls(program);
  addUsers(program);
  addRules(program);
  addRoutes(program);
  addStorage(program);
  return program;
}
