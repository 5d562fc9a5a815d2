/** `robust-ctl status`: is the server ready, and what does it hold. */
import type { Command } from 'commander';
import { api, toolOf } from '../tool.ts';

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('Show whether the server is ready, and what it holds. Exit code 1 when not ready.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const ready = await admin.get('/health/ready');
      const overview = await admin.get(api`/overview`);
      output.record({
        ...overview,
        ready: ready['status'] === 'ready',
        problems: ready['problems'],
      });
      if (ready['status'] !== 'ready') process.exitCode = 1;
    });
}
