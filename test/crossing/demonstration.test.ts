/**
 * The demonstration of docs/mapping.md, word for word: consumers of four protocols run at once on
 * `robustmq.multi.protocol`, one message is published, and all of them get it from the one stored
 * copy. mosquitto's commands and MQTT.js stand for mqttx, nats-sub of nats.go for the `nats`
 * command.
 */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { Inbox } from '../clients/inbox.ts';
import { mosquittoSub, Program, run } from '../clients/program.ts';
import { pythonArguments, pythonEnvironment, runPython } from '../clients/python-scenarios.ts';
import { ADMIN, HOST, type Server, startServer } from '../clients/server.ts';
import {
  debian,
  kafkaToolArguments,
  kafkaTools,
  natsGo,
  python,
  ready,
} from '../clients/toolchains/index.ts';

const NAME = 'robustmq.multi.protocol';
const JAVA_TIMEOUT_MS = 60_000;
const toolchains = await Promise.all([debian, kafkaTools, natsGo, python].map(ready));
const missing = toolchains.map((each) => each.missing).filter((reason) => reason !== null);
const [, kafka, nats, pika] = toolchains.map(({ folder }) => folder ?? '');

describe('the demonstration', { skip: missing.length > 0 && missing.join('; ') }, () => {
  let server: Server;
  let mqttjs: MqttClient;
  let mqttjsInbox: Inbox<string>;
  /** The consumers that run as programs, by the name used in failures. */
  let consumers: Record<string, Program> = {};

  before(async () => {
    server = await startServer();
  });
  after(async () => {
    await stopConsumers();
    await server[Symbol.asyncDispose]();
  });

  const mqttArguments = (...more: string[]) => {
    const address = ['-t', NAME, '-h', HOST, '-p', String(server.ports.mqtt)];
    return [...address, ...more, '-u', ADMIN.user, '-P', ADMIN.password];
  };
  const consoleConsumer = () =>
    new Program('java', [
      ...kafkaToolArguments(kafka ?? '', 'consumer.ConsoleConsumer'),
      ...['--bootstrap-server', server.address('kafka'), '--topic', NAME],
      ...['--partition', '0', '--from-beginning'],
    ]);
  const natsSub = () =>
    new Program(path.join(nats ?? '', 'nats-sub'), ['-s', server.address('nats'), NAME]);
  const pikaConsumer = () =>
    new Program('python3', pythonArguments('pika_consumer.py', amqpArguments()), {
      env: pythonEnvironment(pika ?? ''),
    });
  const amqpArguments = () => [HOST, String(server.ports.amqp), NAME];

  /** All five consumers at once, each known to listen. */
  async function startConsumers(): Promise<void> {
    consumers = {
      'kafka-console-consumer': consoleConsumer(),
      mosquitto_sub: mosquittoSub(mqttArguments('-q', '2', '-d')),
      'nats-sub': natsSub(),
      pika: pikaConsumer(),
    };
    mqttjs = mqtt.connect(`mqtt://${server.address('mqtt')}`, {
      username: ADMIN.user,
      password: ADMIN.password,
      protocolVersion: 5,
      clientId: 'demonstration',
      clean: false,
      properties: { sessionExpiryInterval: 600 },
      reconnectPeriod: 0,
    });
    mqttjsInbox = new Inbox<string>();
    // Before it is connected: what waited in the session comes with the CONNACK.
    mqttjs.on('message', (_topic, payload) => mqttjsInbox.put(String(payload)));
    await once(mqttjs as unknown as EventEmitter, 'connect');
    await mqttjs.subscribeAsync(NAME, { qos: 2 });
    await consumers['mosquitto_sub']?.line((line) => line.includes('received SUBACK'));
    await consumers['nats-sub']?.line((line) => line.includes('Listening on'));
    await consumers['pika']?.line((line) => line === 'ready');
  }

  async function stopConsumers(): Promise<void> {
    await mqttjs?.endAsync(true);
    for (const program of Object.values(consumers)) await program.kill();
  }

  /** Every consumer shows the text; nats-sub shows it after its subject. */
  async function expectEverywhere(text: string): Promise<void> {
    const own = (line: string) => line === text;
    const natsLine = (line: string) => line.includes(`[${NAME}]: '${text}'`);
    const shown = Object.entries(consumers).map(([name, program]) =>
      program.line(name === 'nats-sub' ? natsLine : own, JAVA_TIMEOUT_MS),
    );
    const answers = [...shown, mqttjsInbox.next(JAVA_TIMEOUT_MS)];
    const settled = await Promise.allSettled(answers);
    const failures = settled.filter((each) => each.status === 'rejected');
    assert.deepEqual(
      failures.map(({ reason }) => String(reason)),
      [],
    );
    assert.equal(await answers.at(-1), text);
  }

  const publishers: Record<string, (text: string) => Promise<unknown>> = {
    MQTT: (text) => run('mosquitto_pub', mqttArguments('-q', '1', '-m', text)),
    Kafka: (text) => {
      const tool = kafkaToolArguments(kafka ?? '', 'ConsoleProducer');
      const to = ['--bootstrap-server', server.address('kafka'), '--topic', NAME];
      return run('java', [...tool, ...to], { input: `${text}\n`, timeoutMs: JAVA_TIMEOUT_MS });
    },
    // The stream exists by now, so it captures its name from NATS too.
    NATS: (text) =>
      run(path.join(nats ?? '', 'nats-pub'), ['-s', server.address('nats'), NAME, text]),
    AMQP: (text) => runPython(pika ?? '', 'pika_publisher.py', [...amqpArguments(), text]),
  };

  it('one message published with MQTT reaches five running consumers X60', async () => {
    await startConsumers();
    await publishers['MQTT']?.('robustmq multi protocol success');
    await expectEverywhere('robustmq multi protocol success');
  });

  for (const [protocol, publish] of Object.entries(publishers)) {
    it(`the same with ${protocol} as the publisher X60`, async () => {
      await publish(`from ${protocol}`);
      await expectEverywhere(`from ${protocol}`);
    });
  }

  it('after a restart those who read stored data get it again, and what came while they were away X60 X62', async () => {
    await stopConsumers();
    await publishers['MQTT']?.('while they were away');
    assert.equal(await server.stop(), 0);
    await server.start();
    await startConsumers();
    const stored = [
      'robustmq multi protocol success',
      ...Object.keys(publishers).map((protocol) => `from ${protocol}`),
      'while they were away',
    ];
    const reader = consumers['kafka-console-consumer'] as Program;
    await reader.line((line) => line === stored.at(-1), JAVA_TIMEOUT_MS);
    assert.deepEqual(reader.lines, stored);
    await consumers['pika']?.line((line) => line === 'while they were away');
    assert.equal(await mqttjsInbox.next(), 'while they were away');
    await publishers['MQTT']?.('all together again');
    await expectEverywhere('all together again');
  });
});
