/**
 * Enhanced authentication (4.12): SCRAM in AUTH packets, before CONNACK and again later. The client
 * speaks first; what it says and hears is the broker's, this only carries it.
 */
import { isScram, type Principal, type ScramLogin, type ScramMechanism } from '#broker';
import { BrokerError } from '#kit';
import {
  AUTH,
  type ConnectPacket,
  DISCONNECT,
  decodeAuth,
  decodeDisconnect,
  encodeAuth,
  type PacketReader,
  protocolError,
  REASON,
} from './codec/index.ts';
import type { Link } from './connection.ts';
import { admit, clientIdOf, originationOf } from './handlers/connect.ts';

const NO_BYTES = Buffer.alloc(0);

export interface EnhancedLogin {
  readonly method: ScramMechanism;
  readonly clientId: string;
  /** What is accepted at the end; null once it was. */
  packet: ConnectPacket | null;
  /** The exchange that is under way. */
  scram: ScramLogin | null;
}

/** CONNECT has named a method that we know [MQTT-4.12.0-2]. */
export function beginLogin(link: Link, packet: ConnectPacket, method: string): void {
  if (!isScram(method)) return;
  const clientId = clientIdOf(link, packet);
  const { principals } = link.room.broker;
  link.login = {
    ...{ method, clientId, packet },
    scram: principals.scram(method, originationOf(link, clientId)),
  };
  link.state = 'proving';
  const { authenticationData } = packet.properties;
  if (authenticationData === undefined) ask(link, link.login, NO_BYTES);
  else step(link, link.login, authenticationData);
}

/** A packet before CONNACK: AUTH or DISCONNECT only [MQTT-3.1.2-30]. */
export function prove(link: Link, reader: PacketReader): boolean {
  if (reader.type === DISCONNECT) {
    decodeDisconnect(reader, link.version);
    link.finish();
    return true;
  }
  if (reader.type !== AUTH) throw protocolError('packet type', 0, 'only AUTH may come now');
  const login = link.login!;
  const { reason, data } = read(login, reader);
  if (reason !== REASON.continueAuthentication) {
    throw protocolError('reason code', 0, 'the authentication is not over'); // [MQTT-4.12.0-3]
  }
  step(link, login, data);
  return true;
}

/** AUTH of a client that is connected: it proves itself again (4.12.1), or goes on with that. */
export function auth(link: Link, reader: PacketReader): boolean {
  const { login } = link;
  if (login === null) {
    decodeAuth(reader);
    // [MQTT-4.12.0-6]
    throw protocolError('packet type', 0, 'AUTH without an authentication method');
  }
  const { reason, data } = read(login, reader);
  if (reason === REASON.reAuthenticate && login.scram === null) {
    const { principals } = link.room.broker;
    login.scram = principals.scram(login.method, originationOf(link, login.clientId));
  } else if (reason !== REASON.continueAuthentication || login.scram === null) {
    throw protocolError('reason code', 0, 'does not belong to an exchange that is under way');
  }
  step(link, login, data);
  return true;
}

/** The method is the one of CONNECT, in every packet [MQTT-4.12.0-5] [MQTT-4.12.1-1]. */
function read(login: EnhancedLogin, reader: PacketReader): { reason: number; data: Buffer } {
  const { reason, properties } = decodeAuth(reader);
  if (properties.authenticationMethod !== login.method) {
    throw protocolError('Authentication Method', 0, 'is not the one of CONNECT');
  }
  return { reason, data: properties.authenticationData ?? NO_BYTES };
}

function step(link: Link, login: EnhancedLogin, data: Buffer): void {
  const scram = login.scram!;
  try {
    if (!scram.begun) {
      ask(link, login, scram.first(data));
      return;
    }
    const { answer, principal } = scram.final(data);
    login.scram = null;
    succeed(link, login, principal, answer);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    login.scram = null;
    link.room.log.info('authentication failed', {
      client: login.clientId,
      peer: link.connection.peer.address,
      reason: error.message,
    });
    fail(link);
  }
}

function succeed(link: Link, login: EnhancedLogin, principal: Principal, answer: Buffer): void {
  const { packet } = login;
  if (packet !== null) {
    login.packet = null;
    link.state = 'connecting';
    link.holdReading();
    void admit(link, packet, login.clientId, Promise.resolve(principal), answer);
    return;
  }
  const session = link.session!;
  if (session.principal.id !== principal.id) {
    fail(link);
    return;
  }
  session.principal = principal;
  const properties = { authenticationMethod: login.method, authenticationData: answer };
  link.output.append(encodeAuth({ reason: REASON.success, properties }));
}

/** Before CONNACK a refusal, afterwards the end of the connection [MQTT-4.12.1-2]. */
function fail(link: Link): void {
  if (link.state === 'open') link.leave(REASON.notAuthorized, '');
  else link.refuse(REASON.notAuthorized, '');
}

function ask(link: Link, { method }: EnhancedLogin, answer: Buffer): void {
  const properties = {
    authenticationMethod: method,
    ...(answer.length === 0 ? {} : { authenticationData: answer }),
  };
  link.output.append(encodeAuth({ reason: REASON.continueAuthentication, properties }));
}
