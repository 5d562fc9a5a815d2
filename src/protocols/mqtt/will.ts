/**
 * The will: from its packet into a session's record and, when its time has come, to the broker.
 */
import { type Broker, type Message, type Principal, slashSpelling } from '#broker';
import { fillProperties, PacketWriter, WILL, type WillPacket } from './codec/index.ts';
import { isReadOnly } from './features/own-topics.ts';
import { messageOf, readStored } from './message.ts';
import type { WillRecord } from './session-store.ts';

export interface Will {
  readonly packet: WillPacket;
  readonly delaySec: number;
}

export function willOf(packet: WillPacket): Will {
  return {
    // The packet's bytes are a view of what was read; a will may stay for days.
    packet: { ...packet, payload: Buffer.from(packet.payload) },
    delaySec: packet.properties.willDelaySec ?? 0,
  };
}

export function willMessage(will: Will, principal: Principal, nowMs: number): Message {
  const { topic, payload, qos, retain, properties } = will.packet;
  const message = messageOf(slashSpelling.parse(topic), payload, qos, retain, properties, nowMs);
  message.principal = principal;
  return message;
}

/** May this principal publish the will? Asked at CONNECT and again when it is published (M38). */
export function willAllowed(broker: Broker, principal: Principal, will: WillPacket): boolean {
  if (isReadOnly(will.topic)) return false;
  return broker.authorize(principal, 'publish', slashSpelling.parse(will.topic));
}

const writer = new PacketWriter();

export function willRecord(will: Will): WillRecord {
  const { topic, payload, qos, retain, properties } = will.packet;
  writer.reset();
  fillProperties(writer, properties);
  return {
    topic,
    payload: payload.toString('base64'),
    qos,
    retain,
    delaySec: will.delaySec,
    properties: writer.bytes.toString('base64', 0, writer.at),
  };
}

export function storedWill(record: WillRecord): Will {
  const { topic, qos, retain, delaySec } = record;
  const payload = Buffer.from(record.payload, 'base64');
  const properties = readStored(Buffer.from(record.properties, 'base64'), WILL);
  return { packet: { topic, payload, qos, retain, properties }, delaySec };
}
