/** Who may come from where, checked before any port opens. */
import type { Broker } from '#broker';
import { BrokerError, expectBrokerError, type Values } from '#kit';
import { isLoopback, parseListen } from '#net';
import type { AUTH_OPTIONS } from './server-options.ts';

/** Makes the configured administrator, or gives it its configured password. */
export async function ensureConfiguredUser(
  broker: Broker,
  { user, password }: Values<typeof AUTH_OPTIONS>,
): Promise<void> {
  if (user === '' && password === '') return;
  if (user === '' || password === '') {
    throw new BrokerError('bad-configuration', 'auth.user and auth.password are needed together.');
  }
  if (await isCurrent(broker, user, password)) return;
  await broker.principals.setUser(user, password, { superuser: true, loopbackOnly: false });
  await broker.definitions.durable();
}

async function isCurrent(broker: Broker, user: string, password: string): Promise<boolean> {
  if (!broker.principals.users().some((known) => known.name === user)) return false;
  try {
    return (await broker.authenticate({ user, password, loopback: false })).superuser;
  } catch (error) {
    expectBrokerError(error);
    return false;
  }
}

/**
 * Refuses a listener that strangers can reach while nobody but the first, loopback-only user and
 * anonymous exist.
 */
export function checkExposure(
  broker: Broker,
  listeners: readonly { readonly name: string; readonly listen: readonly string[] }[],
): void {
  if (broker.principals.configured) return;
  for (const { name, listen } of listeners) {
    const exposed = listen.find((text) => text !== 'off' && !isLoopback(parseListen(text).host));
    if (exposed === undefined) continue;
    throw new BrokerError(
      'bad-configuration',
      `The listener ${name} on ${exposed} could be reached by others, but no user is set up for ` +
        'them: set auth.user and auth.password (ROBUSTMQ_AUTH_USER, ROBUSTMQ_AUTH_PASSWORD), or ' +
        'start on loopback and run "robust-ctl users create NAME", then start again.',
    );
  }
}
