/** CONNECT: takes over what the client says of itself, and finds out who it is. */
import type { Principal } from '#broker';
import { BrokerError } from '#kit';
import { type ConnectOptions, readConnect } from '../connect-options.ts';
import type { NatsConnection } from '../connection.ts';
import { SAYS } from '../errors.ts';
import { originationOf } from '../shared.ts';

const PROTOCOL_MAX = 1;

export function connect(connection: NatsConnection): boolean {
  const options = readConnect(connection.parser.text(0));
  const text = refusal(connection, options);
  if (text !== null) {
    connection.fail(text);
    return false;
  }
  connection.options = options;
  connection.connected();
  const proved = connection.wire.peer.identity?.user ?? null;
  const named = options.user !== '' || options.pass !== '';
  if (proved === null && options.authToken === '' && named) {
    check(connection, options);
    return false;
  }
  const principal =
    proved === null ? unnamed(connection, options) : ofCertificate(connection, proved);
  if (principal === null) {
    connection.fail(SAYS.authorizationViolation);
    return false;
  }
  return welcome(connection, principal);
}

function unnamed({ shared, wire }: NatsConnection, options: ConnectOptions): Principal | null {
  return options.authToken === '' ? shared.anonymous(wire) : shared.holder(options.authToken, wire);
}

function ofCertificate({ shared, wire }: NatsConnection, user: string): Principal | null {
  try {
    return shared.broker.principals.proved(user, originationOf(wire));
  } catch (error) {
    if (error instanceof BrokerError) return null;
    throw error;
  }
}

/** What makes a CONNECT unacceptable whoever sends it; null when nothing does. */
function refusal(connection: NatsConnection, options: ConnectOptions): string | null {
  const { wire } = connection;
  const plain = !wire.encrypted && wire.terms.transport === 'tcp';
  if (plain && (connection.upgradeNeeded || options.tlsRequired)) return SAYS.tlsRequired;
  if (options.protocol < 0 || options.protocol > PROTOCOL_MAX) return SAYS.clientProtocol;
  if (options.noResponders && !options.headers) return SAYS.noRespondersNeedHeaders;
  // Keys and signed identities are not configured here: nobody can have a valid one.
  if (options.nkey !== '' || options.jwt !== '') return SAYS.authorizationViolation;
  return null;
}

/** No frame is read while the password is checked, so that none is judged by the wrong rights. */
function check(connection: NatsConnection, options: ConnectOptions): void {
  const { shared, wire } = connection;
  connection.state = 'checking';
  connection.hold('check');
  shared.broker
    .authenticate({
      user: options.user,
      password: options.pass,
      ...originationOf(wire),
    })
    .then(
      (principal) => {
        if (connection.state !== 'checking') return;
        if (welcome(connection, principal)) connection.goOn(false);
      },
      (error: unknown) => {
        if (!(error instanceof BrokerError)) {
          wire.destroy(`authentication failed: ${String(error)}`);
        } else connection.fail(SAYS.authorizationViolation);
      },
    );
}

/** @returns false when it must not come in */
function welcome(connection: NatsConnection, principal: Principal): boolean {
  const banned = connection.wire.identify({ user: principal.name, clientId: null });
  if (banned !== null) {
    connection.fail(SAYS.authorizationViolation);
    return false;
  }
  connection.principal = principal;
  connection.state = 'ready';
  connection.ok();
  return true;
}
