/** Opens the TCP ports of one listen text. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { BrokerError, type Log } from '#kit';
import { type ListenAddress, showAddress } from './address.ts';
import type { Bound } from './network.ts';

/** What becomes of those who connect. */
export interface Reception {
  readonly onSocket: (socket: Socket) => void;
  /** Nothing is read of them before somebody asks for it. */
  readonly unread: boolean;
}

/** The kernel cuts it to `somaxconn`. A burst of connects must fit, or clients wait for a retry. */
const BACKLOG = 4096;
/**
 * The runtime takes one connection per listening socket in a turn of its event loop. With one
 * socket a busy server would let in a few hundred a second, and the kernel would reset those that
 * do not fit into its queue; so the port is opened several times, and the kernel deals them out.
 */
const SOCKETS_PER_PORT = 4;
/** Silence after which TCP itself asks whether the other end is still there. */
const KEEP_ALIVE_DELAY_MS = 60_000;
/** The kernel deals connections out to the sockets of a port (SO_REUSEPORT). */
const SHARES_PORTS = process.platform === 'linux';
/** Tries to find a port that is free on both loopback addresses. */
const FREE_PORT_TRIES = 16;

/**
 * Listens, and resolves to the open servers: several for each address, and two addresses for
 * `localhost`, where the machine has IPv6.
 * @throws BrokerError `bad-configuration` with a sentence for the operator.
 */
export async function bind(
  name: string,
  listen: ListenAddress,
  reception: Reception,
  log: Log,
): Promise<Server[]> {
  const servers = await bindAll(name, listen, reception, log);
  if (SHARES_PORTS) {
    for (const server of [...servers]) servers.push(...(await siblingsOf(server, reception)));
  }
  for (const server of servers) {
    // Such as no file descriptor left for the next connection; those that are open go on.
    server.on('error', (error) => {
      log.error('connections cannot be accepted', { listener: name, reason: error.message });
    });
  }
  return servers;
}

async function bindAll(
  name: string,
  listen: ListenAddress,
  reception: Reception,
  log: Log,
): Promise<Server[]> {
  if (listen.host === '*') return [await bindAnywhere(name, listen.port, reception)];
  if (listen.host !== 'localhost') {
    return [await explained(name, listen.host, listen.port, reception)];
  }
  for (let attempt = 1; ; attempt++) {
    const first = await explained(name, '127.0.0.1', listen.port, reception);
    const { port } = boundOf(first);
    try {
      return [first, await open('::1', port, reception)];
    } catch (error) {
      if (isMissingFamily(error)) {
        log.info('listening on IPv4 only: this machine has no IPv6 loopback', { listener: name });
        return [first];
      }
      first.close();
      // A port that the system chose for IPv4 may be taken for IPv6.
      const mayRetry = listen.port === 0 && codeOf(error) === 'EADDRINUSE';
      if (!mayRetry || attempt === FREE_PORT_TRIES) throw explain(name, '::1', port, error);
    }
  }
}

/** Ports that were opened, each once. */
export function addressesOf(servers: readonly Server[]): Bound[] {
  const all = new Map(servers.map((server) => [showAddress(boundOf(server)), boundOf(server)]));
  return [...all.values()];
}

function boundOf(server: Server): Bound {
  const { address, port } = server.address() as AddressInfo;
  return { address, port };
}

async function bindAnywhere(name: string, port: number, reception: Reception): Promise<Server> {
  try {
    return await open('::', port, reception);
  } catch (error) {
    if (!isMissingFamily(error)) throw explain(name, '::', port, error);
    return explained(name, '0.0.0.0', port, reception);
  }
}

async function explained(
  name: string,
  host: string,
  port: number,
  reception: Reception,
): Promise<Server> {
  try {
    return await open(host, port, reception);
  } catch (error) {
    throw explain(name, host, port, error);
  }
}

/** The port is ours alone: others of this user could share it, so that is found out first. */
async function open(host: string, port: number, reception: Reception): Promise<Server> {
  if (SHARES_PORTS && port !== 0) {
    const alone = await listenOn(host, port, false, TURN_AWAY);
    await new Promise<void>((resolve) => void alone.close(() => resolve()));
  }
  return listenOn(host, port, SHARES_PORTS, reception);
}

/** Who comes a moment too early would keep the port from being opened again. */
const TURN_AWAY: Reception = {
  onSocket(socket) {
    socket.on('error', () => {});
    socket.destroy();
  },
  unread: true,
};

async function siblingsOf(first: Server, reception: Reception): Promise<Server[]> {
  const { address, port } = boundOf(first);
  const siblings: Server[] = [];
  while (siblings.length < SOCKETS_PER_PORT - 1) {
    siblings.push(await listenOn(address, port, true, reception));
  }
  return siblings;
}

function listenOn(
  host: string,
  port: number,
  reusePort: boolean,
  reception: Reception,
): Promise<Server> {
  const server = createServer({
    // The end of the client's stream must not cut off what is still queued for it.
    allowHalfOpen: true,
    pauseOnConnect: reception.unread,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, reusePort, backlog: BACKLOG }, () => {
      server.off('error', reject);
      server.on('connection', reception.onSocket);
      resolve(server);
    });
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function isMissingFamily(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'].includes(codeOf(error));
}

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop the program that has it or choose another port',
  EACCES: 'this user may not open the port; choose one above 1023 or give the right to it',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'this name has no address',
};

function explain(name: string, host: string, port: number, error: unknown): BrokerError {
  const code = codeOf(error);
  const hint = HINTS[code] ?? (error instanceof Error ? error.message : String(error));
  const where = showAddress({ address: host, port });
  return new BrokerError(
    'bad-configuration',
    `The listener ${name} cannot open ${where}: ${hint}.`,
    { listener: name, address: host, port, code },
    error,
  );
}
