/**
 * The bridge that people write between two brokers: `node bridge.ts MQTT_PORT KAFKA_PORT`. It has a
 * durable MQTT session at QoS 1. What came while a request was on its way goes to Kafka in the next
 * one, acks=all, to the topic of the same name. MQTT.js acknowledges a message when it has given
 * it away: holding that back until Kafka has answered would mean one message for each round trip.
 */

import { Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { connectAsync } from 'mqtt';

const [mqttPort, kafkaPort] = process.argv.slice(2);
let waiting = new Map<string, Message[]>();
let sending = false;

async function send(producer: Producer): Promise<void> {
  if (sending) return;
  sending = true;
  while (waiting.size > 0) {
    const topicMessages = [...waiting].map(([topic, messages]) => ({ topic, messages }));
    waiting = new Map();
    await producer.sendBatch({ topicMessages, acks: -1 });
  }
  sending = false;
}

const kafka = new Kafka({ brokers: [`127.0.0.1:${kafkaPort}`], logLevel: logLevel.ERROR });
const producer = kafka.producer({ allowAutoTopicCreation: false });
await producer.connect();
const mqtt = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, {
  ...{ clientId: 'bridge', clean: false, reconnectPeriod: 100 },
});
mqtt.on('message', (topic, value) => {
  const messages = waiting.get(topic);
  if (messages === undefined) waiting.set(topic, [{ value }]);
  else messages.push({ value });
  void send(producer);
});
await mqtt.subscribeAsync('#', { qos: 1 });
process.stdout.write('bridging\n');
