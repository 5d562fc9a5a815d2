/**
 * A NATS client that is just enough to load a server. Lines are found and counted in place.
 */

import { sleep } from './pump.ts';
import { type Scanner, Signal, Wire } from './wire.ts';

const CONNECT = Buffer.from(
  'CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"lang":"bench","version":"1",' +
    '"protocol":1,"echo":true,"headers":true,"no_responders":true}\r\n',
);
export const PING = Buffer.from('PING\r\n');
const PONG = Buffer.from('PONG\r\n');
const LF = 10;

/** First letters of what a server sends: MSG, PING, PONG, INFO, +OK, -ERR. */
const M = 77;
const P = 80;
const I = 73;
const O = 79;
const MINUS = 45;

export class Client implements Scanner {
  messages = 0;
  pongs = 0;
  readonly greeted = new Signal();
  onPayload: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  onRead: (() => void) | undefined;
  wire!: Wire;
  /** Length of the last control line and whole frame: the next frame is likely the same. */
  #lineBytes = 0;
  #frameBytes = 0;

  static async open(port: number, bufferBytes?: number): Promise<Client> {
    const client = new Client();
    client.wire = await Wire.open(port, client, bufferBytes);
    client.wire.send(CONNECT);
    client.wire.send(PING);
    await client.greeted.promise;
    client.pongs = 0;
    return client;
  }

  scan(bytes: Buffer, end: number): number {
    let at = 0;
    while (at < end) {
      const frame = bytes[at] === M ? this.#message(bytes, at, end) : this.#control(bytes, at, end);
      if (frame === 0) break;
      at += frame;
    }
    this.onRead?.();
    return at;
  }

  /** Answers the whole frame's length, 0 when it is not complete. */
  #message(bytes: Buffer, at: number, end: number): number {
    if (!this.#sameShape(bytes, at)) {
      const lf = bytes.indexOf(LF, at);
      if (lf < 0 || lf >= end) return 0;
      let length = 0;
      const space = bytes.lastIndexOf(32, lf);
      for (let i = space + 1; i < lf - 1; i++) length = length * 10 + bytes[i]! - 48;
      this.#lineBytes = lf + 1 - at;
      this.#frameBytes = this.#lineBytes + length + 2;
    }
    if (at + this.#frameBytes > end) return 0;
    this.messages++;
    const start = at + this.#lineBytes;
    this.onPayload?.(bytes, start, at + this.#frameBytes - 2);
    return this.#frameBytes;
  }

  /** The same subject, sid and size as before give the same line length and a line feed there. */
  #sameShape(bytes: Buffer, at: number): boolean {
    const line = this.#lineBytes;
    return line > 0 && bytes[at + line - 1] === LF && bytes[at + this.#frameBytes - 1] === LF;
  }

  #control(bytes: Buffer, at: number, end: number): number {
    const lf = bytes.indexOf(LF, at);
    if (lf < 0 || lf >= end) return 0;
    const first = bytes[at];
    if (first === P && bytes[at + 1] === O) {
      this.pongs++;
      this.greeted.fire();
    } else if (first === P) {
      this.wire.send(PONG);
    } else if (first === MINUS) {
      throw new Error(bytes.toString('latin1', at, lf));
    } else if (first !== I && first !== 43) {
      throw new Error(`unknown line: ${bytes.toString('latin1', at, Math.min(lf, at + 80))}`);
    }
    return lf + 1 - at;
  }
}

export function publishFrame(subject: string, payload: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`PUB ${subject} ${payload.length}\r\n`),
    payload,
    Buffer.from('\r\n'),
  ]);
}

/** A client whose subscription the server has taken note of. */
export async function subscribed(port: number, subject: string): Promise<Client> {
  const client = await Client.open(port);
  client.wire.send(Buffer.from(`SUB ${subject} 1\r\n`));
  client.wire.send(PING);
  while (client.pongs === 0) await sleep(1);
  client.pongs = 0;
  return client;
}

/** INFO of a server is what an idle connection has to hold at most. */
const IDLE_BUFFER_BYTES = 2_048;

/** A connection that says nothing until it is closed. */
export async function openIdle(port: number): Promise<Wire> {
  const client = await Client.open(port, IDLE_BUFFER_BYTES);
  return client.wire;
}
