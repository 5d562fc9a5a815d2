/** The first message of a client of SASL OAUTHBEARER (RFC 7628). */
import { isUtf8 } from 'node:buffer';
import { BrokerError } from '#kit';

/** Ends the header, each pair, and the message. */
const CONTROL_A = '\x01';
/** GS2 header without channel binding. */
const HEADER = /^n,(?:a=([^,]*))?,$/;
const PAIR = /^[A-Za-z]+=/;
const BEARER = /^auth=bearer +([A-Za-z0-9._~+/=-]+) *$/i;

export interface BearerMessage {
  /** The user for whom the client wants to act; empty for that of the token. */
  readonly authorizationId: string;
  readonly token: string;
}

/** @throws BrokerError `malformed` */
export function readBearerMessage(bytes: Buffer): BearerMessage {
  const parts = isUtf8(bytes) ? bytes.toString('utf8').split(CONTROL_A) : [];
  const header = HEADER.exec(parts[0] ?? '');
  const pairs = parts.slice(1, -2);
  const isWhole = header !== null && parts.slice(-2).join(CONTROL_A) === CONTROL_A;
  if (!isWhole || !pairs.every((pair) => PAIR.test(pair))) {
    throw new BrokerError('malformed', 'malformed OAUTHBEARER message');
  }
  const auth = pairs.filter((pair) => /^auth=/i.test(pair));
  const bearer = auth.length === 1 ? BEARER.exec(auth[0]!) : null;
  if (bearer === null) throw new BrokerError('malformed', 'there is no bearer token');
  // RFC 5801: commas and equals signs of names are spelled out.
  const authorizationId = (header[1] ?? '').replaceAll('=2C', ',').replaceAll('=3D', '=');
  return { authorizationId, token: bearer[1]! };
}
