/**
 * Eclipse Paho for Java (3.1.1 and 5) and HiveMQ's client (3.1.1 and 5), unmodified. The programs
 * are in programs/java, each run as one source file: one JVM for all of its scenarios.
 */
import path from 'node:path';
import { mqttScenarios } from './scenario-program.ts';
import { FULL } from './tier.ts';
import { mqttJava, ready } from './toolchains/index.ts';

if (FULL) {
  const { folder, missing } = await ready(mqttJava);
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m'];
  const source = (name: string) => [
    ...[...jvm, '-cp', path.join(folder ?? '', '*')],
    path.join(import.meta.dirname, 'programs/java', name),
  ];

  mqttScenarios({
    client: 'Eclipse Paho for Java',
    missing,
    command: 'java',
    args: source('MqttPaho.java'),
    scenarios: {
      'v3-qos': 'paho Java 3.1.1: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      'v3-retained': 'paho Java 3.1.1: a retained message is replayed until it is cleared M115',
      'v3-will': 'paho Java 3.1.1: the will is published when the connection breaks M33 M34',
      'v3-session': 'paho Java 3.1.1: a session is present and gets what it missed M28 M47 M89',
      'v3-shared': 'paho Java 3.1.1: two members share each message once M124 M131',
      'v3-refused': 'paho Java 3.1.1: a wrong password and a forbidden filter are refused M48 M106',
      'v3-websocket': 'paho Java 3.1.1: 100 KB pass by WebSocket M151',
      'v5-qos': 'paho Java 5: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      'v5-will':
        'paho Java 5: a will with properties is published when the connection breaks M33 M36',
      'v5-session': 'paho Java 5: a session is present and gets what it missed M27 M29 M47 M89',
      'v5-properties': 'paho Java 5: properties pass unchanged and in order M10 M65 M68',
      'v5-receive-maximum': 'paho Java 5: no more messages are sent than may be unacknowledged M83',
      'v5-refused': 'paho Java 5: a wrong password and a forbidden filter get their codes M48 M106',
    },
  });

  mqttScenarios({
    client: "HiveMQ's client for Java",
    missing,
    command: 'java',
    args: source('MqttHive.java'),
    scenarios: {
      'v3-qos': "HiveMQ's client 3.1.1: messages pass in order at QoS 0, 1 and 2 M71 M76 M80",
      'v3-session':
        "HiveMQ's client 3.1.1: a session is present and gets what it missed M28 M47 M89",
      'v3-refused':
        "HiveMQ's client 3.1.1: a wrong password and a forbidden filter are refused M48 M106",
      'v5-qos': "HiveMQ's client 5: messages pass in order at QoS 0, 1 and 2 M71 M76 M80",
      'v5-retained': "HiveMQ's client 5: a retained message is replayed until it is cleared M115",
      'v5-will':
        "HiveMQ's client 5: a disconnect with will publishes it with its properties M36 M37",
      'v5-session':
        "HiveMQ's client 5: a session is present and gets what it missed M27 M29 M47 M89",
      'v5-shared': "HiveMQ's client 5: two members share each message once M124",
      'v5-properties':
        "HiveMQ's client 5: properties pass unchanged, topic aliases both ways M10 M65 M68 M69 M70",
      'v5-receive-maximum':
        "HiveMQ's client 5: no more messages are sent than may be unacknowledged M83",
      'v5-refused':
        "HiveMQ's client 5: a wrong password and forbidden topics get their codes M48 M81 M106",
      'v5-scram':
        "HiveMQ's client 5: enhanced authentication by SCRAM-SHA-256, and again while connected M140 M143 M145",
    },
  });
}
