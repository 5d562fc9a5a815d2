/** `robust-ctl connections` and `robust-ctl list`: what protocols have. */
import type { Command } from 'commander';
import { AdminError, type Row } from '../admin-client.ts';
import { api, toolOf } from '../tool.ts';

interface Resource {
  readonly noun: string;
  readonly columns: readonly string[];
}

export function addConnections(program: Command): void {
  program
    .command('connections')
    .description('List the connections of all protocols.')
    .action(async (_flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const rows = await admin.list(api`/connections`);
      output.rows(rows, columnsOf(rows));
    });
  program
    .command('list')
    .description('List what a protocol has of a noun, such as: list mqtt sessions.')
    .argument('<protocol>')
    .argument('<noun>')
    .action(async (name: string, noun: string, _flags: unknown, command: Command) => {
      const { admin, output } = toolOf(command);
      const protocols = await admin.list(api`/protocols`);
      const resources = protocols.find((one) => one['name'] === name)?.['resources'];
      const resource = ((resources ?? []) as Resource[]).find((one) => one.noun === noun);
      if (resource === undefined) throw new AdminError(unknown(protocols, name, noun));
      output.rows(await admin.list(api`/protocols/${name}/${noun}`), resource.columns);
    });
}

/** Columns that at least one row has, in the order of their first appearance. */
function columnsOf(rows: readonly Row[]): string[] {
  const columns = new Set(['protocol', 'id']);
  for (const row of rows) for (const column of Object.keys(row)) columns.add(column);
  return [...columns];
}

function unknown(protocols: readonly Row[], name: string, noun: string): string {
  const known = protocols.flatMap((protocol) =>
    (protocol['resources'] as Resource[]).map((one) => `${protocol['name']} ${one.noun}`),
  );
  return `${name} has no ${noun}; there are: ${known.join(', ')}.`;
}
