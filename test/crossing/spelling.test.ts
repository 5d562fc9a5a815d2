/**
 * Names level by level: one address in the spelling of each protocol, published by each and read by
 * each through exact names. The spellings are those of the table in docs/mapping.md.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import mqtt, { type MqttClient } from 'mqtt';
import { connect, type NatsConnection } from 'nats';
import { Inbox } from '../clients/inbox.ts';
import { type Server, startServer } from '../clients/server.ts';

const ROWS = [
  { what: 'plain levels', mqtt: 's1/b/c', nats: 's1.b.c', amqp: 's1.b.c' },
  { what: 'a dot inside a level', mqtt: 's2/b.c/d', nats: 's2.b%2Ec.d', amqp: 's2.b%2Ec.d' },
  { what: 'a slash inside a level', mqtt: 's3/x%2Fy/c', nats: 's3.x/y.c', amqp: 's3.x/y.c' },
  { what: 'a space', mqtt: 's4/b c/d', nats: 's4.b%20c.d', amqp: 's4.b c.d' },
  { what: 'a level that is a star', mqtt: 's5/*/c', nats: 's5.%2A.c', amqp: 's5.*.c' },
  { what: 'a level that is an angle', mqtt: 's6/>/c', nats: 's6.%3E.c', amqp: 's6.>.c' },
  { what: 'a level that is a plus', mqtt: 's7/%2B/c', nats: 's7.+.c', amqp: 's7.+.c' },
  { what: 'a level that is a hash', mqtt: 's8/%23/c', nats: 's8.#.c', amqp: 's8.#.c' },
  { what: 'an empty level', mqtt: 's9//c', nats: 's9.%00.c', amqp: 's9..c' },
  { what: 'a literal %2E', mqtt: 's10/b%2Ec/d', nats: 's10.b%252Ec.d', amqp: 's10.b%252Ec.d' },
  { what: 'a literal %2F', mqtt: 's11/b%252Fc/d', nats: 's11.b%2Fc.d', amqp: 's11.b%2Fc.d' },
  { what: 'a lone percent sign', mqtt: 's12/100%/d', nats: 's12.100%.d', amqp: 's12.100%.d' },
  { what: 'letters beyond ASCII', mqtt: 's13/ä€😀/d', nats: 's13.ä€😀.d', amqp: 's13.ä€😀.d' },
] as const;
type Name = 'mqtt' | 'nats' | 'amqp';
const NAMES = ['mqtt', 'nats', 'amqp'] as const;

interface Seen {
  readonly name: string;
  readonly body: string;
}

describe('names level by level', () => {
  let server: Server;
  let mqttClient: MqttClient;
  let natsClient: NatsConnection;
  let amqpClient: ChannelModel;
  let channel: ConfirmChannel;
  const inboxes = { mqtt: new Inbox<Seen>(), nats: new Inbox<Seen>(), amqp: new Inbox<Seen>() };

  before(async () => {
    server = await startServer();
    mqttClient = await mqtt.connectAsync(`mqtt://${server.address('mqtt')}`);
    natsClient = await connect({ servers: server.address('nats') });
    amqpClient = await amqp.connect(`amqp://${server.address('amqp')}`);
    channel = await amqpClient.createConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    mqttClient.on('message', (name, body) => inboxes.mqtt.put({ name, body: String(body) }));
    for (const row of ROWS) {
      await mqttClient.subscribeAsync(row.mqtt, { qos: 1 });
      natsClient.subscribe(row.nats, {
        callback: (_error, message) =>
          inboxes.nats.put({ name: message.subject, body: message.string() }),
      });
      // As a binding, a key of AMQP with * or # is a pattern; it matches its own text all the same.
      await channel.bindQueue(queue, 'amq.topic', row.amqp);
    }
    await natsClient.flush();
    const put = (message: amqp.ConsumeMessage | null) => {
      if (message === null) return;
      inboxes.amqp.put({ name: message.fields.routingKey, body: String(message.content) });
    };
    await channel.consume(queue, put, { noAck: true });
  });
  after(async () => {
    await mqttClient.endAsync(true);
    await natsClient.close();
    await amqpClient.close();
    await server[Symbol.asyncDispose]();
  });

  const publish: Record<Name, (name: string, body: string) => Promise<unknown>> = {
    mqtt: (name, body) => mqttClient.publishAsync(name, body, { qos: 1 }),
    nats: (name, body) => {
      natsClient.publish(name, body);
      return natsClient.flush();
    },
    amqp: (name, body) => {
      channel.publish('amq.topic', name, Buffer.from(body));
      return channel.waitForConfirms();
    },
  };

  for (const row of ROWS) {
    for (const from of NAMES) {
      it(`${row.what}: ${row[from]} from ${from} is seen by all X2`, async () => {
        const body = `${row.what} from ${from}`;
        await publish[from](row[from], body);
        for (const to of NAMES) {
          assert.deepEqual(await inboxes[to].next(5000), { name: row[to], body }, to);
        }
      });
    }
  }
});
