/** `robust-server check-config`: shows what would hold, and where it comes from. Starts nothing. */
import type { Command } from 'commander';
import { ADMIN_OPTIONS } from '#admin';
import { realTimers, silentLog } from '#kit';
import { parseListen, TlsKeyRing } from '#net';
import { protocols } from '#protocols';
import { engineLimits } from '../engine-limits.ts';
import { listenerPlans } from '../listener-plans.ts';
import { placeOf } from '../object-store.ts';
import type { Settings } from '../options/settings.ts';
import { SERVER_OPTIONS, STORAGE_OPTIONS } from '../server-options.ts';
import { withOptionFlags } from './option-flags.ts';

export function addCheckConfig(program: Command): void {
  const command = program
    .command('check-config')
    .description('Check the configuration and print the effective values with their source.');
  const { settings } = withOptionFlags(command);
  command.action(async () => {
    const effective = settings();
    await check(effective);
    process.stdout.write(effective.show());
  });
}

/** What a start would refuse before it touches any data. */
async function check(settings: Settings): Promise<void> {
  const { messageMax } = settings.section('server', SERVER_OPTIONS);
  const storage = settings.section('storage', STORAGE_OPTIONS);
  engineLimits(storage, messageMax);
  placeOf(storage, process.env);
  checkListen(settings.section('admin', ADMIN_OPTIONS).listen);
  const plans = listenerPlans(protocols, settings);
  for (const { plan } of plans) checkListen(plan.listen);
  const keyRing = new TlsKeyRing(realTimers, silentLog);
  try {
    for (const { settings: own } of plans) await keyRing.keysFor(own);
  } finally {
    keyRing.close();
  }
}

function checkListen(listen: readonly string[]): void {
  for (const text of listen) if (text !== 'off') parseListen(text);
}
