/** MQTT packets over a wire, with the room's own codec; it acknowledges nothing by itself. */
import {
  CONNACK,
  type ConnackPacket,
  type ConnectPacket,
  decodeAck,
  decodeCodes,
  decodeConnack,
  decodePublish,
  encodeAck,
  encodeConnect,
  encodePublishFilled,
  encodeSubscribe,
  type FilterRequest,
  Framer,
  fillProperties,
  NO_PROPERTIES,
  PacketReader,
  type Properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  PublishPacket,
  propertyScratch,
  SUBACK,
  type Version,
} from '../../../src/protocols/mqtt/codec/index.ts';
import { Answer, Lost } from '../actor.ts';
import type { Wire } from '../network.ts';
import type { Scheduler } from '../scheduler.ts';

const PACKET_BYTES_MAX = 1 << 24;
const ANSWER_TIMEOUT_MS = 8_000;
const FAILED = 0x80;

export interface Arrived {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
}

export interface Outgoing {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId: number;
  readonly properties?: Properties;
}

export class MqttLink {
  readonly wire: Wire;
  readonly version: Version;
  onMessage: (message: Arrived) => void = () => {};
  /** PUBACK, PUBREC, PUBREL or PUBCOMP. */
  onAck: (type: number, packetId: number, refused: boolean) => void = () => {};
  /** Rejects when the connection ends; never resolves. */
  readonly lost: Promise<never>;
  readonly #scheduler: Scheduler;
  readonly #framer = new Framer();
  readonly #reader = new PacketReader();
  readonly #connack = new Answer<ConnackPacket>();
  readonly #subacks = new Map<number, Answer<readonly number[]>>();

  constructor(wire: Wire, version: Version, scheduler: Scheduler) {
    this.wire = wire;
    this.version = version;
    this.#scheduler = scheduler;
    const lost = new Answer<never>();
    this.lost = lost.promise;
    wire.onData = (chunk) => this.#receive(chunk);
    wire.onClosed = () => lost.reject(new Lost('closed'));
  }

  async connect(clientId: string, packet: Partial<ConnectPacket> = {}): Promise<ConnackPacket> {
    this.wire.send(
      encodeConnect({
        ...{ version: this.version, bridge: false, clean: false, keepAliveSec: 0, clientId },
        ...{ properties: NO_PROPERTIES, will: null, user: null, password: null },
        ...packet,
      }),
    );
    const connack = await this.#within(this.#connack.promise);
    // 3.x has small return codes instead of reason codes.
    if (connack.reason !== 0) throw new Lost(`CONNACK ${connack.reason}`);
    return connack;
  }

  async subscribe(packetId: number, filters: readonly FilterRequest[]): Promise<void> {
    const suback = new Answer<readonly number[]>();
    this.#subacks.set(packetId, suback);
    this.wire.send(encodeSubscribe({ packetId, properties: NO_PROPERTIES, filters }, this.version));
    const codes = await this.#within(suback.promise);
    for (const code of codes) if (code >= FAILED) throw new Lost(`SUBACK ${code}`);
  }

  publish(message: Outgoing): void {
    propertyScratch.reset();
    if (this.version === 5) fillProperties(propertyScratch, message.properties ?? NO_PROPERTIES);
    const { head, payload } = encodePublishFilled(
      { retain: false, dup: false, ...message },
      this.version,
    );
    this.wire.send(Buffer.concat([head, payload]));
  }

  ack(type: number, packetId: number): void {
    const fields = { packetId, reason: 0, properties: NO_PROPERTIES };
    this.wire.send(encodeAck(type, fields, this.version));
  }

  async #within<T>(promise: Promise<T>): Promise<T> {
    const timeout = this.#scheduler.sleep(ANSWER_TIMEOUT_MS).then(() => {
      throw new Lost('no answer in time');
    });
    timeout.catch(() => {});
    return Promise.race([promise, this.lost, timeout]);
  }

  #receive(chunk: Buffer): void {
    this.#framer.push(chunk);
    while (this.#framer.next(this.#reader, PACKET_BYTES_MAX)) {
      this.#packet(this.#reader);
      this.#framer.consume();
    }
  }

  #packet(reader: PacketReader): void {
    switch (reader.type) {
      case CONNACK:
        this.#connack.resolve(decodeConnack(reader, this.version));
        return;
      case PUBLISH: {
        const packet = new PublishPacket();
        decodePublish(reader, this.version, packet);
        const { qos, retain, dup, packetId } = packet;
        const payload = Buffer.from(packet.payload);
        this.onMessage({ topic: packet.topic.toString(), payload, qos, retain, dup, packetId });
        return;
      }
      case SUBACK: {
        const { packetId, codes } = decodeCodes(reader, this.version);
        this.#subacks.get(packetId)?.resolve(codes);
        return;
      }
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP: {
        const { packetId, reason } = decodeAck(reader, this.version);
        this.onAck(reader.type, packetId, reason >= FAILED);
      }
    }
  }
}
