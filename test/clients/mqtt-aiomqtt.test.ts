/** aiomqtt, unmodified. The scenarios are in programs/python/aiomqtt_scenarios.py. */
import { pythonArguments, pythonEnvironment } from './python-scenarios.ts';
import { mqttScenarios } from './scenario-program.ts';
import { python, ready } from './toolchains/index.ts';

const { folder, missing } = await ready(python);

mqttScenarios({
  client: 'aiomqtt (Python)',
  missing,
  command: 'python3',
  args: pythonArguments('aiomqtt_scenarios.py', []),
  env: pythonEnvironment(folder ?? ''),
  scenarios: {
    qos: 'aiomqtt: messages pass in order at QoS 0, 1 and 2, in MQTT 3.1.1 and 5 M71 M76 M80',
    retained: 'aiomqtt: a retained message is replayed until an empty one clears it M112 M115',
    will: 'aiomqtt: the will is published when the connection breaks M33 M34',
    session: 'aiomqtt: a session gets what it missed, in MQTT 3.1.1 and 5 M27 M28 M29 M89',
    shared: 'aiomqtt: two members share the messages of a subscription M124',
    version5:
      'aiomqtt: properties pass unchanged, an alias names its topic, the subscription its identifier M10 M65 M68 M69 M110',
    options: 'aiomqtt: no local keeps own messages away M111',
    refused: 'aiomqtt: wrong passwords and forbidden filters get their codes M39 M48 M106',
    websocket: 'aiomqtt: 100 KB pass by WebSocket M151',
  },
});
