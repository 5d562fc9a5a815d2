/** The command line `robust-ctl`. */
import { AdminError } from './admin-client.ts';
import { ctlProgram } from './program.ts';

try {
  await ctlProgram().parseAsync();
} catch (error) {
  if (!(error instanceof AdminError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
