/**
 * A connection from its protocol header to connection.open: log-in, tuning, virtual host. What it
 * finds out is handed to the connection, which takes over from there.
 */
import type { Principal } from '#broker';
import type { Connection } from '#contract';
import { BrokerError, ProtocolError } from '#kit';
import { AmqpError } from './errors.ts';
import type { Fields, Method, MethodName } from './methods.ts';
import {
  type ClientFacts,
  clientFacts,
  foreignGreeting,
  isProtocolHeader,
  loginRefused,
  MECHANISMS,
  mayBecomeHeader,
  PROTOCOL_HEADER,
  readLogin,
  serverProperties,
  type Tuning,
  tuned,
} from './negotiation.ts';
import type { AmqpServer } from './server.ts';

export type HandshakeStep = 'header' | 'start' | 'login' | 'tune' | 'open' | 'done';

/** Who a connection belongs to, once it is known. */
export interface Identity {
  readonly principal: Principal;
  /** As the client logged in; the principal may have another name. */
  readonly userName: string;
}

export interface HandshakeHost {
  readonly server: AmqpServer;
  readonly socket: Connection;
  send<Name extends MethodName>(channel: 0, name: Name, fields: Fields<Name>): void;
  /** Reads on when the work is done, and fails with what it fails. */
  hold(work: Promise<void>): void;
  /** Closes without a word of AMQP. */
  hangUp(reason: string): void;
  identified(identity: Identity): void;
  tuned(tuning: Tuning): void;
  opened(): void;
}

const NOTHING = Buffer.alloc(0);
/** The certificate of the connection is the log-in. */
const EXTERNAL = 'EXTERNAL';

export class Handshake {
  client: ClientFacts = clientFacts([]);
  readonly #host: HandshakeHost;
  #step: HandshakeStep = 'header';
  #greeting: Buffer = NOTHING;

  constructor(host: HandshakeHost) {
    this.#host = host;
  }

  get step(): HandshakeStep {
    return this.#step;
  }

  /** [A1] @returns what follows the protocol header, null when it is not complete or not ours */
  greet(chunk: Buffer): Buffer | null {
    const size = PROTOCOL_HEADER.length;
    const all = this.#greeting.length === 0 ? chunk : Buffer.concat([this.#greeting, chunk]);
    const head = all.subarray(0, size);
    if (head.length < size && mayBecomeHeader(head)) {
      this.#greeting = head;
      return null;
    }
    if (!isProtocolHeader(head)) {
      this.#host.socket.write(PROTOCOL_HEADER);
      this.#host.hangUp(foreignGreeting(all));
      return null;
    }
    this.#greeting = NOTHING;
    this.#step = 'start';
    const { product, version, clusterName } = this.#host.server;
    this.#host.send(0, 'connection.start', {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: serverProperties(product, version, clusterName),
      mechanisms: Buffer.from(this.#mechanisms().join(' ')),
      locales: Buffer.from('en_US'),
    });
    return all.subarray(size);
  }

  #mechanisms(): readonly string[] {
    const proved = this.#host.socket.peer.identity?.user ?? null;
    return proved === null ? MECHANISMS : [...MECHANISMS, EXTERNAL];
  }

  /** @throws AmqpError for a method that does not belong here, and for a virtual host we lack */
  method({ name, fields }: Method): void {
    if (this.#step === 'start' && name === 'connection.start-ok') {
      this.#step = 'login';
      this.#host.hold(this.#login(fields as Fields<'connection.start-ok'>));
    } else if (this.#step === 'tune' && name === 'connection.tune-ok') {
      this.#host.tuned(tuned(this.#host.server.tuning, fields as Fields<'connection.tune-ok'>));
      this.#step = 'open';
    } else if (this.#step === 'open' && name === 'connection.open') {
      this.#open((fields as Fields<'connection.open'>).virtualHost);
    } else {
      throw new AmqpError(503, `${name} is not expected here`);
    }
  }

  async #login(startOk: Fields<'connection.start-ok'>): Promise<void> {
    const { server, socket } = this.#host;
    this.client = clientFacts(startOk.clientProperties);
    let principal: Principal;
    let userName: string;
    try {
      const proved = socket.peer.identity?.user ?? null;
      const external = startOk.mechanism === EXTERNAL && proved !== null;
      const login = external ? null : readLogin(startOk.mechanism, startOk.response);
      userName = login?.user ?? proved!;
      principal = await this.#principalOf(userName, login?.password ?? null);
      const banned = socket.identify({ user: principal.name, clientId: null });
      if (banned !== null) throw new BrokerError('not-authorized', banned);
    } catch (error) {
      this.#refuse(error, startOk.mechanism);
      return;
    }
    this.#host.identified({ principal, userName });
    this.#step = 'tune';
    const { channelMax, frameMax, heartbeatMs } = server.tuning;
    const heartbeat = heartbeatMs / 1000;
    this.#host.send(0, 'connection.tune', { channelMax, frameMax, heartbeat });
  }

  /** @param password null when the certificate has proved the name */
  async #principalOf(user: string, password: string | null): Promise<Principal> {
    const { server, socket } = this.#host;
    const { principals } = server.host.broker;
    const { address, loopback, identity } = socket.peer;
    const facts = { protocol: 'amqp', peerHost: address, commonName: identity?.commonName };
    const origination = { loopback, anonymous: socket.terms.anonymous, facts };
    if (password === null) return principals.proved(user, origination);
    // The customary name and password of this protocol stand for no credentials at all, unless
    // somebody has made them a user.
    if (user === 'guest' && password === 'guest' && principals.store.get(user) === undefined) {
      return principals.anonymous(origination);
    }
    return principals.authenticate({ user, password, ...origination });
  }

  /** [A6] A client that can hear it is told; for others the socket closes, as RabbitMQ does. */
  #refuse(error: unknown, mechanism: string): void {
    const known = error instanceof BrokerError || error instanceof AmqpError;
    if (!known || error instanceof ProtocolError) throw error;
    if (this.client.failureClose) throw loginRefused(mechanism);
    this.#host.hangUp(`login refused: ${error.message}`);
  }

  #open(virtualHost: string): void {
    // [A10] An empty name is what some tools send for the default one.
    if (virtualHost !== '/' && virtualHost !== '') {
      throw new AmqpError(530, `vhost ${virtualHost} not found`);
    }
    this.#step = 'done';
    this.#host.send(0, 'connection.open-ok', { knownHosts: '' });
    this.#host.opened();
  }
}
