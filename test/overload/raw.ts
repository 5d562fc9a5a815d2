/** Connections that write by hand and may stop reading: what no client library offers. */
import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  received = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('error', () => {}); // A reset is one of the ways to be closed.
    socket.once('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
    });
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve);
    socket.once('error', reject);
    const client = new RawClient(socket);
    await promise;
    return client;
  }

  /** Writes and waits until the socket took it, or is gone. */
  async send(bytes: Buffer | string): Promise<void> {
    if (this.socket.destroyed || this.socket.write(bytes)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.once('drain', resolve);
    await Promise.race([promise, this.closed]);
    this.socket.off('drain', resolve);
  }

  /** Writes and waits for the first bytes that answer it. */
  async ask(bytes: Buffer | string): Promise<Buffer> {
    const answer = new Promise<Buffer>((resolve) => this.socket.once('data', resolve));
    this.socket.write(bytes);
    return answer;
  }

  /** From here on nothing is read any more, and the kernel's buffers fill up. */
  stick(): void {
    this.socket.pause();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** The variable part and payload as an MQTT packet. */
function mqttPacket(header: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let left = body.length;
  do {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  return Buffer.concat([Buffer.of(header, ...length), body]);
}

function mqttText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

/** CONNECT of MQTT 3.1.1. */
export function mqttConnect(clientId: string, clean: boolean): Buffer {
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, clean ? 2 : 0, 0, 0]);
  return mqttPacket(0x10, head, mqttText(clientId));
}

export function mqttSubscribe(filter: string, qos: number): Buffer {
  return mqttPacket(0x82, Buffer.of(0, 1), mqttText(filter), Buffer.of(qos));
}

export function mqttPublish(topic: string, payload: Buffer, packetId = 0): Buffer {
  const id = packetId === 0 ? Buffer.alloc(0) : Buffer.of(packetId >> 8, packetId & 255);
  return mqttPacket(packetId === 0 ? 0x30 : 0x32, mqttText(topic), id, payload);
}

/** Kafka Fetch version 4 of one partition from its start. */
export function kafkaFetch(topic: string, correlation: number, bytesMax: number): Buffer {
  const name = Buffer.from(topic);
  const request = Buffer.alloc(57 + name.length);
  let at = request.writeInt32BE(request.length - 4, 0);
  at = request.writeInt16BE(1, at);
  at = request.writeInt16BE(4, at);
  at = request.writeInt32BE(correlation, at);
  at = request.writeInt16BE(-1, at);
  at = request.writeInt32BE(-1, at);
  at = request.writeInt32BE(0, at);
  at = request.writeInt32BE(1, at);
  at = request.writeInt32BE(bytesMax, at);
  at = request.writeInt8(0, at);
  at = request.writeInt32BE(1, at);
  at = request.writeInt16BE(name.length, at);
  at += name.copy(request, at);
  at = request.writeInt32BE(1, at);
  at = request.writeInt32BE(0, at);
  at = request.writeBigInt64BE(0n, at);
  request.writeInt32BE(bytesMax, at);
  return request;
}
