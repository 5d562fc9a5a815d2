/** CONNECT: takes over what the client says of itself, and finds out who it is. */
import type { Principal } from '#broker';
import { BrokerError } from '#kit';
import { type ConnectOptions, readConnect } from '../connect-options.ts';
import type { NatsConnection } from '../connection.ts';
import { SAYS } from '../errors.ts';

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
  if (options.authToken === '' && (options.user !== '' || options.pass !== '')) {
    check(connection, options);
    return false;
  }
  const { shared, wire } = connection;
  const principal =
    options.authToken === '' ? shared.anonymous(wire.peer) : shared.holder(options.authToken);
  if (principal === null) {
    connection.fail(SAYS.authorizationViolation);
    return false;
  }
  welcome(connection, principal);
  return true;
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
      loopback: wire.peer.loopback,
    })
    .then(
      (principal) => {
        if (connection.state !== 'checking') return;
        welcome(connection, principal);
        connection.goOn(false);
      },
      (error: unknown) => {
        if (!(error instanceof BrokerError)) {
          wire.destroy(`authentication failed: ${String(error)}`);
        } else connection.fail(SAYS.authorizationViolation);
      },
    );
}

function welcome(connection: NatsConnection, principal: Principal): void {
  connection.principal = principal;
  connection.state = 'ready';
  connection.ok();
}
