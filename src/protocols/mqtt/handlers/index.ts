/** What is done with each packet of a client, by packet type; false: it must wait. */
import {
  AUTH,
  CONNECT,
  DISCONNECT,
  type PacketReader,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../codec/index.ts';
import type { Link } from '../connection.ts';
import { auth } from '../enhanced-login.ts';
import { puback, pubcomp, pubrec, pubrel } from './acks.ts';
import { disconnect, pingreq, secondConnect } from './disconnect.ts';
import { publish } from './publish.ts';
import { subscribe, unsubscribe } from './subscribe.ts';

type Handler = (link: Link, reader: PacketReader) => boolean;

/** Types that a client may not send were refused before this is asked. */
export const HANDLERS: readonly (Handler | undefined)[] = (() => {
  const table: (Handler | undefined)[] = [];
  table[CONNECT] = secondConnect;
  table[PUBLISH] = publish;
  table[PUBACK] = puback;
  table[PUBREC] = pubrec;
  table[PUBREL] = pubrel;
  table[PUBCOMP] = pubcomp;
  table[SUBSCRIBE] = subscribe;
  table[UNSUBSCRIBE] = unsubscribe;
  table[PINGREQ] = pingreq;
  table[DISCONNECT] = disconnect;
  table[AUTH] = auth;
  return table;
})();
