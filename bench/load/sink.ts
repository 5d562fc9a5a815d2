/**
 * The sink: a process that answers a load with the least work that its frames allow. What a load
 * reaches against it is that load's ceiling; a figure near its ceiling measures the generator.
 * It stores nothing, checks nothing and is no broker.
 */

import { createServer, type Socket } from 'node:net';
import { AmqpSink } from './sink-amqp.ts';
import { KafkaSink } from './sink-kafka.ts';
import { MqttSink } from './sink-mqtt.ts';
import { NatsSink } from './sink-nats.ts';
import { type LoadName, type WireName, wireOf } from './spec.ts';
import type { Scanner } from './wire.ts';

/** What the connections of one sink share, for loads that go from one to another. */
export interface Peers {
  /** Who subscribed, and to what. */
  readonly subscribers: Map<Socket, string>;
  /** Payloads matter: what arrives must be what was sent. */
  readonly exact: boolean;
  /** The last Kafka batch that was produced: what a fetch is answered with. */
  batch: Buffer;
  /** Kafka batches that nobody has fetched yet, where payloads matter. */
  readonly live: LiveBatches;
  /** AMQP deliveries of what was published last, and whether consumers drain them. */
  block: Buffer;
  readonly backlog: boolean;
}

export interface LiveBatches {
  batches: Buffer[];
  /** Offset after the last one. */
  end: number;
  waiting: (() => void) | undefined;
}

const OPEN: Record<WireName, (socket: Socket, peers: Peers) => Scanner> = {
  mqtt: (socket, peers) => new MqttSink(socket, peers),
  nats: (socket, peers) => new NatsSink(socket, peers),
  kafka: (socket, peers) => new KafkaSink(socket, peers),
  amqp: (socket, peers) => new AmqpSink(socket, peers),
};

const load = process.argv[2] as LoadName;
const exact = load.endsWith('-paced') || load.endsWith('-request');
const backlog = load.endsWith('-drain');
const none = Buffer.alloc(0);
const peers: Peers = {
  ...{ subscribers: new Map(), exact, backlog, batch: none, block: none },
  live: { batches: [], end: 0, waiting: undefined },
};

function serve(socket: Socket): void {
  const scanner = OPEN[wireOf(load)](socket, peers);
  let kept: Buffer | undefined;
  socket.on('data', (chunk: Buffer) => {
    const bytes = kept === undefined ? chunk : Buffer.concat([kept, chunk]);
    const taken = scanner.scan(bytes, bytes.length);
    kept = taken === bytes.length ? undefined : bytes.subarray(taken);
  });
  socket.on('close', () => peers.subscribers.delete(socket));
  socket.on('error', () => socket.destroy());
}

const server = createServer({ noDelay: true }, serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  process.stdout.write(`listening on 127.0.0.1:${address.port}\n`);
});
