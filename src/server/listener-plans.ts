/** Every listener: those that the protocols open anyway, and those of the operator. */
import type { ListenerPlan, Protocol } from '#contract';
import { BrokerError } from '#kit';
import { LISTENER_OPTIONS, type ListenerSettings } from '#net';
import type { Settings } from './options/settings.ts';

export interface Planned {
  readonly protocol: Protocol;
  readonly plan: ListenerPlan;
  readonly settings: ListenerSettings;
}

/** @throws BrokerError `bad-configuration` */
export function listenerPlans(protocols: readonly Protocol[], settings: Settings): Planned[] {
  const planned: Planned[] = [];
  const usual = new Map<string, readonly ListenerPlan[]>();
  for (const protocol of protocols) {
    const plans = protocol.listeners(settings.section(protocol.name, protocol.options));
    usual.set(protocol.name, plans);
    for (const plan of plans) planned.push(changed(protocol, plan, settings));
  }
  const known = new Set(planned.map(({ plan }) => plan.name));
  for (const name of settings.listenerNames()) {
    if (!known.has(name)) planned.push(added(protocols, usual, name, settings));
  }
  for (const { protocol, plan } of planned) {
    checkKeys(protocol, plan.name, settings);
    protocol.check?.(settings.sectionAt(protocol.name, protocol.options, plan.name));
  }
  return planned;
}

/** A usual listener, with what its table says. */
function changed(protocol: Protocol, plan: ListenerPlan, settings: Settings): Planned {
  const own = settings.listener(plan.name);
  for (const key of ['protocol', 'transport'] as const) {
    const given = settings.listenerTable(plan.name)?.get(key)?.value;
    const fixed = key === 'protocol' ? protocol.name : plan.transport;
    if (given !== undefined && given !== fixed) {
      throw wrong(plan.name, `its ${key} is ${fixed}; choose another name for a new listener`);
    }
  }
  const listen = own.listen.length > 0 ? own.listen : plan.listen;
  return { protocol, plan: { ...plan, listen }, settings: own };
}

function added(
  protocols: readonly Protocol[],
  usual: ReadonlyMap<string, readonly ListenerPlan[]>,
  name: string,
  settings: Settings,
): Planned {
  const own = settings.listener(name);
  const protocol = protocols.find((each) => each.name === own.protocol);
  if (protocol === undefined) {
    const names = protocols.map((each) => each.name).join(', ');
    throw wrong(name, `protocol is "${own.protocol}"; expected one of ${names}`);
  }
  if (own.listen.length === 0) throw wrong(name, 'listen is missing');
  const plans = usual.get(protocol.name)!;
  const like = plans.find(({ transport }) => transport === own.transport);
  if (like === undefined) {
    const transports = [...new Set(plans.map(({ transport }) => transport))].join(', ');
    throw wrong(name, `${protocol.name} is carried by ${transports}, not by ${own.transport}`);
  }
  if (own.transport !== 'tcp' && own.transport !== 'ws' && own.cert.length === 0) {
    throw wrong(name, `${own.transport} needs a certificate: cert and key, here or in [tls]`);
  }
  return { protocol, plan: { ...like, name, listen: own.listen }, settings: own };
}

/** What belongs to one protocol has no place in the table of another's listener. */
function checkKeys(protocol: Protocol, name: string, settings: Settings): void {
  const own = protocol.listenerOptions ?? [];
  for (const key of settings.listenerTable(name)?.keys() ?? []) {
    if (Object.hasOwn(LISTENER_OPTIONS, key) || own.includes(key)) continue;
    throw wrong(name, `${protocol.name} has no ${key}`);
  }
}

function wrong(name: string, what: string): BrokerError {
  return new BrokerError('bad-configuration', `listeners.${name}: ${what}.`);
}
