/** paho-mqtt for Python, unmodified. The scenarios are in programs/python/paho_scenarios.py. */
import { pythonClient } from './python-scenarios.ts';

await pythonClient('paho-mqtt (Python)', 'paho_scenarios.py', 'mqtt', {
  qos: 'binary messages pass at QoS 0, 1 and 2 in MQTT 3.1, 3.1.1 and 5 [MQTT-4.3.3-1] M23 M71 M76 R63',
  granted_qos_limits_delivery:
    'a message is delivered at the lower of its QoS and the granted one [MQTT-3.8.4-8] M107',
  retained:
    'a retained message is replayed, replaced and removed by an empty one [MQTT-3.3.1-6] M112 M115',
  will: 'a will is published at its QoS when the connection breaks [MQTT-3.1.2-8] M34',
  session:
    'a session of version 5 keeps 50 messages while the client is away, in order [MQTT-4.5.0-1] M27 M47 M89',
  takeover:
    'a second connection with the same client id ends the first and resumes its session [MQTT-3.1.4-3] M43',
  properties:
    'all properties of a PUBLISH are forwarded unchanged and in order [MQTT-3.3.2-17] M10 M65',
  subscription_options:
    'no local, retain as published and the subscription identifier work [MQTT-3.8.3-3] M110 M111 M112',
  shared: 'each message of a shared subscription goes to one member [MQTT-4.8.2] M124',
  credentials: 'credentials are checked in versions 3.1.1 and 5 [MQTT-3.1.3-12] M39 M48',
  assigned_client_id: 'an empty client id gets a unique assigned one [MQTT-3.1.3-7] M41',
  many: '10 000 messages with 20 in flight arrive complete and in order [MQTT-4.6.0-6] M80 M83',
});
