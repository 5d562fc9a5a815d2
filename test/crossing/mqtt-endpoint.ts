/** MQTT 5 through MQTT.js. */
import mqtt, { type IPublishPacket } from 'mqtt';
import { Inbox } from '../clients/inbox.ts';
import type { Server } from '../clients/server.ts';
import {
  bufferOrNull,
  type Endpoint,
  flatPairs,
  grouped,
  numberOrNull,
  splitHints,
  takeOut,
} from './endpoint.ts';
import type { Outcome, Sample, Seen } from './sample.ts';

export async function mqttEndpoint(server: Server): Promise<Endpoint> {
  const options = { protocolVersion: 5, reconnectPeriod: 0 } as const;
  const client = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`, options);
  client.on('error', () => {});
  const inboxes = new Map<string, Inbox<Outcome>>();
  client.on('message', (topic, _payload, packet) => inboxes.get(topic)?.put(seen(packet)));
  return {
    protocol: 'mqtt',
    async read(name) {
      const inbox = new Inbox<Outcome>();
      inboxes.set(name, inbox);
      await client.subscribeAsync(name, { qos: 1 });
      return inbox;
    },
    async publish(name, sample) {
      await client.publishAsync(name, sample.value ?? Buffer.alloc(0), {
        qos: 1,
        properties: properties(sample),
      });
    },
    close: () => client.endAsync(true),
  };
}

function properties(sample: Sample) {
  const pairs = (sample.headers ?? []).map(([name, value]) => [name, String(value)] as const);
  const own = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [[name, String(value)] as const];
  const userProperties = grouped([
    ...pairs,
    ...own('key', sample.key),
    ...own('message-id', sample.messageId),
    ...own('timestamp', sample.timestampMs),
    ...own('priority', sample.priority),
  ]);
  return {
    // The library miscounts an empty object.
    ...(Object.keys(userProperties).length === 0 ? {} : { userProperties }),
    ...(sample.contentType === undefined ? {} : { contentType: sample.contentType }),
    ...(sample.correlation === undefined ? {} : { correlationData: sample.correlation }),
    ...(sample.reply === undefined ? {} : { responseTopic: sample.reply }),
    ...(sample.expiryMs === undefined ? {} : { messageExpiryInterval: sample.expiryMs / 1000 }),
  };
}

function seen(packet: IPublishPacket): Seen {
  const given = packet.properties;
  const { headers, hints, markedNull } = splitHints(flatPairs(given?.userProperties ?? {}));
  const expiry = given?.messageExpiryInterval;
  return {
    name: packet.topic,
    value: Buffer.from(packet.payload),
    markedNull,
    hints,
    key: takeOut(headers, 'key'),
    messageId: takeOut(headers, 'message-id'),
    timestampMs: numberOrNull(takeOut(headers, 'timestamp')),
    priority: numberOrNull(takeOut(headers, 'priority')),
    correlation: bufferOrNull(given?.correlationData),
    reply: given?.responseTopic ?? null,
    contentType: given?.contentType ?? null,
    expiryMs: expiry === undefined ? null : expiry * 1000,
    headers,
  };
}
