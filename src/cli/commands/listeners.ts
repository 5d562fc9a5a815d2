/** `robust-ctl listeners` */
import type { Command } from 'commander';
import { api, toolOf } from '../tool.ts';

export function addListeners(program: Command): void {
  program
    .command('listeners')
    .description('List the open listeners.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const listeners = await admin.list(api`/listeners`);
      const rows = listeners.map((listener) => ({
        ...listener,
        addresses: (listener['addresses'] as { address: string; port: number }[])
          .map(({ address, port }) => `${address.includes(':') ? `[${address}]` : address}:${port}`)
          .join(' '),
      }));
      output.rows(rows, ['name', 'transport', 'addresses', 'connections']);
    });
}
