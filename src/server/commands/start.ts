/** `robust-server start`: runs the server until a signal ends it. */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import type { Command } from 'commander';
import { expectBrokerError, type Log, realClock } from '#kit';
import { showAddress } from '#net';
import { openLog } from '../log.ts';
import type { Settings } from '../options/settings.ts';
import type { RunningServer } from '../running-server.ts';
import { SERVER_OPTIONS } from '../server-options.ts';
import { startServer } from '../start-server.ts';
import { withOptionFlags } from './option-flags.ts';
import { stopSignals } from './stop-signals.ts';

export function addStart(program: Command): void {
  const command = program
    .command('start', { isDefault: true })
    .description('Run the server. Without any option it serves this machine only, data in ./data.');
  const { settings } = withOptionFlags(command);
  command.action(() => run(settings()));
}

/** What the server writes is for its own user and group: there are password hashes in it. */
const UMASK = 0o027;
const AWAKE_MS = 60_000;

async function run(settings: Settings): Promise<void> {
  process.umask(UMASK);
  const { logLevel, logFormat } = settings.section('server', SERVER_OPTIONS);
  const log = openLog({
    level: logLevel as 'info',
    format: logFormat as 'text',
    clock: realClock,
    write: writeError,
  });
  process.on('uncaughtException', (error) => {
    log.error('a mistake in the program ends it', { reason: error.stack ?? error.message });
    process.exit(1);
  });
  let running: RunningServer | null = null;
  const signals = stopSignals(() => {
    if (running !== null) void reload(running, log);
  });
  // The server's timers do not keep the process alive, and a start may wait for nothing else.
  const awake = setInterval(() => {}, AWAKE_MS);
  const server = await startServer({ settings, log });
  running = server;
  clearInterval(awake);
  announce(server);
  // Now, because a server that is killed would not write it at its end.
  flushCompileCache();
  const signal = await signals.first;
  log.info('stopping', { signal });
  // As at the start: a stop that waits for one of them alone would end in the middle.
  setInterval(() => {}, AWAKE_MS);
  const clean = await server.close();
  log.info('stopped');
  process.exit(clean ? 0 : 1);
}

async function reload(server: RunningServer, log: Log): Promise<void> {
  try {
    const changed = await server.reloadTls();
    if (changed === 0) log.info('TLS files are the same as before');
  } catch (error) {
    const { message } = expectBrokerError(error);
    log.error('TLS files cannot be used; the old ones stay in force', { reason: message });
  }
  try {
    await server.reloadAuth();
  } catch (error) {
    const { message } = expectBrokerError(error);
    log.error('files of users and rules cannot be used; all stays as it is', { reason: message });
  }
}

function announce({ listeners }: RunningServer): void {
  const lines = listeners.flatMap(({ name, addresses }) =>
    addresses.map((address) => `${name} listening on ${showAddress(address)}\n`),
  );
  process.stdout.write(`${lines.join('')}ready in ${Math.round(performance.now())} ms\n`);
}

/** At once, so that the last words of a crash are not lost. */
function writeError(line: string): void {
  try {
    writeSync(process.stderr.fd, line);
  } catch {
    // A full or closed pipe: the line is lost, the server goes on.
  }
}
