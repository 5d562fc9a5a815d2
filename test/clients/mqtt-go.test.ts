/**
 * The clients of Eclipse Paho for Go, unmodified: paho.mqtt.golang for MQTT 3.1.1, paho.golang with
 * autopaho for 5. Their programs are in programs/go.
 */
import path from 'node:path';
import { mqttScenarios } from './scenario-program.ts';
import { FULL } from './tier.ts';
import { mqttGo, ready } from './toolchains/index.ts';

if (FULL) {
  const { folder, missing } = await ready(mqttGo);
  const program = (name: string) => path.join(folder ?? '', name);

  mqttScenarios({
    client: 'paho.mqtt.golang',
    missing,
    command: program('paho3'),
    args: [],
    scenarios: {
      qos: 'paho.mqtt.golang: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      retained:
        'paho.mqtt.golang: a retained message is replayed until an empty one clears it M115',
      will: 'paho.mqtt.golang: the will is published when the connection breaks M33 M34',
      session: 'paho.mqtt.golang: a session is present and gets what it missed M28 M47 M89',
      shared: 'paho.mqtt.golang: two members share each message once, in 3.1.1 too M124 M131',
      refused: 'paho.mqtt.golang: a wrong password and a forbidden filter are refused M48 M106',
      websocket: 'paho.mqtt.golang: 200 KB pass by WebSocket M151',
    },
  });

  mqttScenarios({
    client: 'paho.golang',
    missing,
    command: program('paho5'),
    args: [],
    scenarios: {
      qos: 'paho.golang: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      retained: 'paho.golang: a retained message is replayed until an empty one clears it M115',
      will: 'paho.golang: a will with properties is published when the connection breaks M33 M36',
      session: 'autopaho comes back after a broken connection and gets what it missed M27 M47 M89',
      shared: 'paho.golang: two members share each message once M124',
      properties:
        'paho.golang: properties pass unchanged, aliases and subscription identifiers work M10 M65 M68 M69 M110',
      receiveMaximum: 'paho.golang: no more messages are sent than may be unacknowledged M83',
      refused:
        'paho.golang: wrong password, forbidden topics and unknown filters get their codes M48 M81 M82 M106 M120',
      websocket: 'autopaho: 200 KB pass by WebSocket M151',
    },
  });
}
