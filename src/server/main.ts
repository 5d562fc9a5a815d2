/** The command line `robust-server`. */
import './runtime-flags.ts';
import { Command } from 'commander';
import { BrokerError } from '#kit';
import { addCheckConfig } from './commands/check-config.ts';
import { addCheckStorage } from './commands/check-storage.ts';
import { addStart } from './commands/start.ts';
import { programVersion } from './version.ts';

const program = new Command('robust-server')
  .description('One broker for MQTT, Kafka, NATS and AMQP over one log.')
  .version(programVersion())
  .showHelpAfterError('(see --help)');
addStart(program);
addCheckConfig(program);
addCheckStorage(program);
program
  .command('version')
  .description('Print the version.')
  .action(() => void process.stdout.write(`${programVersion()}\n`));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof BrokerError)) throw error;
  // What the operator can mend, without a stack trace.
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
