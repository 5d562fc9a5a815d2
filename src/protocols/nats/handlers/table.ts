/**
 * Verb -> handler. A handler reads the frame from `connection.parser`. It answers false when no
 * further frame may be read now: it has called `hold`, or it has closed the connection.
 */
import type { NatsConnection } from '../connection.ts';
import { PONG } from '../frames.ts';
import { VERBS, type Verb } from '../verbs.ts';
import { connect } from './connect.ts';
import { publish } from './publish.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

export type Handler = (connection: NatsConnection) => boolean;

const ping: Handler = (connection) => {
  connection.outbox.control(PONG);
  return true;
};

const pong: Handler = (connection) => {
  connection.heartbeat.pong();
  return true;
};

/** What a client may say but nobody needs. */
const ignored: Handler = () => true;

export const HANDLERS: ReadonlyMap<Verb, Handler> = new Map<Verb, Handler>([
  [VERBS.connect, connect],
  [VERBS.pub, publish],
  [VERBS.hpub, publish],
  [VERBS.sub, subscribe],
  [VERBS.unsub, unsubscribe],
  [VERBS.ping, ping],
  [VERBS.pong, pong],
  [VERBS.ok, ignored],
  [VERBS.err, ignored],
]);
