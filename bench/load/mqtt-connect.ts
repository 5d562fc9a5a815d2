/**
 * Clients that connect, wait for their CONNACK and leave, a window of them at a time. Each has an
 * identifier of its own and a clean session; what counts is CONNACKs.
 */

import { connect, type Socket } from 'node:net';
import { connectPacket } from './mqtt-client.ts';
import { type Load, measure, settle } from './pump.ts';
import type { LoadResult, LoadSpec } from './spec.ts';

const DISCONNECT = Buffer.from([0xe0, 0]);

class Visitors implements Load {
  sent = 0;
  done = 0;
  readonly lost = 0;
  readonly #spec: LoadSpec;
  #running = false;

  constructor(spec: LoadSpec) {
    this.#spec = spec;
  }

  start(): void {
    this.#running = true;
    for (let n = 0; n < this.#spec.window; n++) this.#visit();
  }

  stop(): void {
    this.#running = false;
  }

  /** A refused connection ends the load: there is nothing to give up on. */
  writeOff(): void {}

  #visit(): void {
    const socket = connect({ host: '127.0.0.1', port: this.#spec.port, noDelay: true });
    socket.write(connectPacket(`${this.#spec.name}-${this.sent++}`, true));
    socket.once('data', (bytes: Buffer) => this.#leave(socket, bytes));
    socket.once('close', () => {
      if (this.#running) this.#visit();
    });
  }

  #leave(socket: Socket, connack: Buffer): void {
    if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error('the broker refused a client');
    this.done++;
    // A broker may answer the farewell by a reset; before the CONNACK an error ends the load.
    socket.on('error', () => {});
    socket.end(DISCONNECT);
  }
}

export async function mqttConnect(spec: LoadSpec): Promise<LoadResult> {
  const visitors = new Visitors(spec);
  const result = await measure(spec, visitors);
  await settle(visitors);
  return result;
}
