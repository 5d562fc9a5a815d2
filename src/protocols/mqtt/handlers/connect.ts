/** CONNECT (3.1.4): checks, who it is, the session, CONNACK. */
import { isScram, type Origination, type Principal } from '#broker';
import { BrokerError, ProtocolError } from '#kit';
import {
  type ConnectPacket,
  decodeConnect,
  encodeConnack,
  type PacketReader,
  type Properties,
  REASON,
  type Version,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { beginLogin } from '../enhanced-login.ts';
import { reasonOf } from '../errors.ts';
import { refuseEntry } from '../eviction.ts';
import { type Mount, mountPointOf } from '../mount.ts';
import type { MqttOptions } from '../options.ts';
import { dropUnreadable } from '../rights.ts';
import type { Opened } from '../sessions.ts';
import { AliasesOut } from '../topic-aliases.ts';
import { checkResponseTopic, topicName } from '../topics.ts';
import { willAllowed } from '../will.ts';

const NEVER_EXPIRES = 0xffffffff;

export function connect(link: Link, reader: PacketReader): void {
  const packet = decodeConnect(reader);
  link.version = packet.version;
  link.bridge = packet.bridge;
  link.packetBytesMax = packet.properties.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  link.problemInformation = packet.properties.requestProblemInformation !== 0;
  if (link.unwelcome !== null) {
    refuseEntry(link, link.unwelcome);
    return;
  }
  const problem = refusal(link, packet);
  if (problem !== 0) {
    link.refuse(problem, '');
    return;
  }
  const { authenticationMethod } = packet.properties;
  if (authenticationMethod !== undefined) {
    beginLogin(link, packet, authenticationMethod);
    return;
  }
  // Its bytes are a view of what was read, and the answer may take a while.
  const password = packet.password === null ? null : Buffer.from(packet.password);
  link.state = 'connecting';
  link.holdReading();
  const clientId = clientIdOf(link, packet);
  void admit(link, packet, clientId, principalOf(link, packet, password, clientId), null);
}

/** What is wrong with a well-formed CONNECT; 0 for nothing. Throws for a bad will. */
function refusal(link: Link, packet: ConnectPacket): number {
  const { version, clientId, clean, will, properties } = packet;
  const method = properties.authenticationMethod;
  if (method !== undefined && !isScram(method)) return REASON.badAuthenticationMethod;
  if (clientId === '' && (version === 3 || (version === 4 && !clean))) {
    return REASON.clientIdNotValid; // [MQTT-3.1.3-8]
  }
  if (will !== null) {
    const { options } = link;
    if (will.qos > options.qosMax) return REASON.qosNotSupported; // [MQTT-3.2.2-12]
    if (will.retain && !options.retainAvailable) return REASON.retainNotSupported; // [MQTT-3.2.2-13]
    topicName(Buffer.from(will.topic), options.topicLevelsMax);
    checkResponseTopic(will.properties.responseTopic);
  }
  return link.room.closing ? REASON.serverShuttingDown : 0;
}

/**
 * Lets the client in when it has proved who it is; refuses it otherwise.
 * @param proof what the last step of an authentication by AUTH gives back, else null
 */
export async function admit(
  link: Link,
  packet: ConnectPacket,
  clientId: string,
  proving: Promise<Principal>,
  proof: Buffer | null,
): Promise<void> {
  try {
    const principal = await proving;
    if (link.state === 'connecting') accept(link, packet, principal, clientId, proof);
  } catch (error) {
    if (!(error instanceof BrokerError)) {
      link.cut('fault while connecting');
      throw error;
    }
    link.room.log.info('connection refused', {
      client: packet.clientId,
      peer: link.connection.peer.address,
      reason: error.message,
    });
    link.refuse(reasonOf(error), '');
  }
}

async function principalOf(
  link: Link,
  packet: ConnectPacket,
  password: Buffer | null,
  clientId: string,
): Promise<Principal> {
  const { broker } = link.room;
  const origination = originationOf(link, clientId);
  const user = link.connection.peer.identity?.user ?? null;
  if (user !== null) return broker.principals.proved(user, origination);
  const text = password?.toString('utf8') ?? '';
  const name = packet.user ?? '';
  // Clients with an empty setting for it send an empty name: who names nobody is nobody.
  if (name === '' && text === '') return broker.anonymous(origination);
  return broker.authenticate({ user: name, password: text, ...origination });
}

/** The one of its certificate, its own, or a new one. */
export function clientIdOf(link: Link, packet: ConnectPacket): string {
  const proved = link.connection.peer.identity?.clientId ?? null;
  if (proved !== null) return proved;
  return packet.clientId === '' ? link.room.newClientId() : packet.clientId;
}

/** Where the client comes from, and what rules may ask of it. */
export function originationOf(link: Link, clientId: string): Origination {
  const { peer, terms } = link.connection;
  const { address, loopback, identity } = peer;
  const facts = {
    ...{ protocol: 'mqtt', peerHost: address, clientId, commonName: identity?.commonName },
  };
  return { loopback, anonymous: terms.anonymous, facts };
}

/** With the whole name of the will's topic; null when there is no such name. */
function mounted(packet: ConnectPacket, mount: Mount | null): ConnectPacket | null {
  const { will } = packet;
  if (mount === null || will === null) return packet;
  const topic = mount.topic(will.topic);
  if (topic === null) return null;
  return { ...packet, will: { ...will, topic, properties: mount.properties(will.properties) } };
}

function accept(
  link: Link,
  given: ConnectPacket,
  principal: Principal,
  clientId: string,
  proof: Buffer | null,
): void {
  const { room } = link;
  const banned = link.connection.identify({ user: principal.name, clientId });
  if (banned !== null) {
    link.refuse(REASON.banned, banned);
    return;
  }
  const { mountPoint } = link.options;
  if (mountPoint !== '') {
    link.mount = mountPointOf(mountPoint, clientId, principal.name);
    if (link.mount === null) {
      link.refuse(REASON.notAuthorized, 'its names cannot be a part of topics');
      return;
    }
  }
  const packet = mounted(given, link.mount);
  if (packet === null) {
    link.refuse(REASON.notAuthorized, 'the will topic is not allowed');
    return;
  }
  if (packet.will !== null && !willAllowed(room.broker, principal, packet.will)) {
    link.refuse(REASON.notAuthorized, 'the will topic is not allowed');
    return;
  }
  link.clientId = clientId;
  const { properties, version } = packet;
  const expirySec = sessionExpiry(packet, link.options);
  link.connectExpirySec = expirySec;
  const maximum = properties.receiveMaximum ?? 0xffff;
  link.window = Math.min(maximum, link.options.inFlightMax);
  const aliases = properties.topicAliasMaximum ?? 0;
  if (aliases > 0) link.aliases = new AliasesOut(aliases);
  const opened = room.sessions.open(packet, link.clientId, principal, expirySec);
  link.session = opened.session;
  opened.session.link = link;
  if (opened.present) dropUnreadable(room.broker, opened.session, link.mount);
  if (!opened.session.durable) {
    begin(link, packet, opened, proof);
    return;
  }
  // What the client hears about its session must hold after a crash (M47).
  room.store.committed((error) => {
    if (link.state !== 'connecting' || link.session !== opened.session) return;
    if (error === null) begin(link, packet, opened, proof);
    else {
      link.refuse(version === 5 ? reasonOf(error) : REASON.serverUnavailable, error.message);
      link.detach(true);
    }
  });
}

/** CONNACK, and messages may flow. */
function begin(link: Link, packet: ConnectPacket, opened: Opened, proof: Buffer | null): void {
  const { session, present } = opened;
  const keepAliveSec = enforcedKeepAlive(packet, link.options);
  const properties = connackProperties(link, packet, keepAliveSec);
  if (link.login !== null) {
    properties.authenticationMethod = link.login.method; // [MQTT-4.12.0-5]
    if (proof !== null) properties.authenticationData = proof;
  }
  link.state = 'open';
  link.output.append(
    encodeConnack({ sessionPresent: present, reason: REASON.success, properties }, link.version),
  );
  link.startKeepAlive(keepAliveSec);
  session.online(link);
  session.outbound?.resume();
  link.room.connected(link);
  link.releaseReading();
  link.readOn();
}

function connackProperties(link: Link, packet: ConnectPacket, keepAliveSec: number): Properties {
  const { options } = link;
  // What is not limited is left out (3.2.2.3).
  const properties: Properties = { maximumPacketSize: options.packetBytesMax };
  if (options.qosMax < 2) properties.maximumQos = options.qosMax as 0 | 1; // [MQTT-3.2.2-9]
  if (!options.retainAvailable) properties.retainAvailable = 0;
  if (!options.wildcardAvailable) properties.wildcardAvailable = 0;
  if (!options.sharedAvailable) properties.sharedAvailable = 0;
  if (!options.subscriptionIdsAvailable) properties.subscriptionIdsAvailable = 0;
  if (options.receiveMaximum < 0xffff) properties.receiveMaximum = options.receiveMaximum;
  if (options.topicAliasMax > 0) properties.topicAliasMaximum = options.topicAliasMax;
  if (link.clientId !== packet.clientId) properties.assignedClientId = link.clientId;
  if (keepAliveSec !== packet.keepAliveSec) properties.serverKeepAliveSec = keepAliveSec;
  const asked = packet.properties.sessionExpirySec ?? 0;
  const given =
    link.connectExpirySec === Number.POSITIVE_INFINITY ? NEVER_EXPIRES : link.connectExpirySec;
  if (given !== asked) properties.sessionExpirySec = given;
  return properties;
}

/** Seconds that the session outlives the connection. */
function sessionExpiry(packet: ConnectPacket, options: MqttOptions): number {
  if (packet.version === 5) {
    return cappedExpirySec(packet.properties.sessionExpirySec ?? 0, options);
  }
  if (packet.clean) return 0;
  const { cleanSessionExpiry } = options;
  return cappedExpirySec(
    cleanSessionExpiry < 0 ? NEVER_EXPIRES : Math.ceil(cleanSessionExpiry / 1000),
    options,
  );
}

export function cappedExpirySec(seconds: number, options: MqttOptions): number {
  const wanted = seconds === NEVER_EXPIRES ? Number.POSITIVE_INFINITY : seconds;
  const { sessionExpiryMax } = options;
  return sessionExpiryMax < 0 ? wanted : Math.min(wanted, Math.floor(sessionExpiryMax / 1000));
}

/** 3.x clients cannot be told of another keep alive, so theirs holds [MQTT-3.2.2-21]. */
function enforcedKeepAlive(packet: ConnectPacket, options: MqttOptions): number {
  const maximumSec = Math.floor(options.keepAliveMax / 1000);
  if (packet.version < 5 || maximumSec >= 0xffff) return packet.keepAliveSec;
  return packet.keepAliveSec === 0 || packet.keepAliveSec > maximumSec
    ? maximumSec
    : packet.keepAliveSec;
}

/** A CONNECT that breaks a rule is answered (M14, M23); one whose fields are cut off is not. */
export function refuseBroken(link: Link, error: BrokerError): void {
  const { reader } = link.room;
  const answer = error instanceof ProtocolError && !reader.truncated;
  const version = answer ? sniffVersion(reader) : null;
  if (version === null) {
    link.cut(error.message);
    return;
  }
  link.version = version;
  const reason = reasonOf(error);
  // 3.x has a code for a level it does not know, and for no other fault of the packet.
  if (version < 5 && reason !== REASON.unsupportedVersion) link.cut(error.message);
  else link.refuse(reason, error.message);
}

/**
 * The version that a broken CONNECT claims, so that it can be answered in its own form; 4 for
 * levels that are nobody's, null when it does not begin like a CONNECT at all.
 */
function sniffVersion(reader: PacketReader): Version | null {
  const { bytes, start, end } = reader;
  if (start + 2 > end) return null;
  const nameEnd = start + 2 + bytes.readUInt16BE(start);
  if (nameEnd >= end) return null;
  const name = bytes.toString('latin1', start + 2, nameEnd);
  if (name !== 'MQTT' && name !== 'MQIsdp') return null;
  const level = bytes[nameEnd]!;
  return level >= 5 && level < 0x80 && name === 'MQTT' ? 5 : 4;
}
