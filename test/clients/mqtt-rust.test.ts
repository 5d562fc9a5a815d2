/** rumqttc (Rust) for MQTT 3.1.1 and 5, unmodified. The program is in programs/rust. */
import path from 'node:path';
import { mqttScenarios } from './scenario-program.ts';
import { FULL } from './tier.ts';
import { mqttRust, ready } from './toolchains/index.ts';

if (FULL) {
  const { folder, missing } = await ready(mqttRust);

  mqttScenarios({
    client: 'rumqttc',
    missing,
    command: path.join(folder ?? '', 'mqtt-clients'),
    args: [],
    scenarios: {
      'v4-qos': 'rumqttc 3.1.1: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      'v4-retained':
        'rumqttc 3.1.1: a retained message is replayed until an empty one clears it M115',
      'v4-will': 'rumqttc 3.1.1: the will is published when the connection breaks M33 M34',
      'v4-session': 'rumqttc 3.1.1: a session is present and gets what it missed M28 M47 M89',
      'v4-shared': 'rumqttc 3.1.1: two members share each message once M124 M131',
      'v4-refused': 'rumqttc 3.1.1: a wrong password and a forbidden filter are refused M48 M106',
      'v5-qos': 'rumqttc 5: messages pass in order at QoS 0, 1 and 2 M71 M76 M80',
      'v5-will':
        'rumqttc 5: a will with properties is published when the connection breaks M33 M36',
      'v5-session': 'rumqttc 5: a session is present and gets what it missed M27 M29 M47 M89',
      'v5-properties':
        'rumqttc 5: properties pass unchanged, aliases and subscription identifiers work M10 M65 M68 M69 M110',
      'v5-receive-maximum': 'rumqttc 5: no more messages are sent than may be unacknowledged M83',
      'v5-refused':
        'rumqttc 5: wrong password and forbidden topics get their codes M48 M81 M82 M106',
    },
  });
}
