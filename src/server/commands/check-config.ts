/** `robust-server check-config`: shows what would hold, and where it comes from. Starts nothing. */
import type { Command } from 'commander';
import { parseListen } from '#net';
import { protocols } from '#protocols';
import type { Settings } from '../options/settings.ts';
import { withOptionFlags } from './option-flags.ts';

export function addCheckConfig(program: Command): void {
  const command = program
    .command('check-config')
    .description('Check the configuration and print the effective values with their source.');
  const { settings } = withOptionFlags(command);
  command.action(() => {
    const effective = settings();
    checkListeners(effective);
    process.stdout.write(effective.show());
  });
}

function checkListeners(settings: Settings): void {
  for (const protocol of protocols) {
    const plans = protocol.listeners(settings.section(protocol.name, protocol.options));
    for (const { listen } of plans) {
      for (const text of listen) if (text !== 'off') parseListen(text);
    }
  }
}
