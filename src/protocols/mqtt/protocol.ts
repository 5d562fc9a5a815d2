/** MQTT as the server sees it: its listeners, options, tables for admin, and how it is opened. */
import type { Host, Instance, ListenerPlan, Protocol } from '#contract';
import { checkMountPoint } from './mount.ts';
import { LISTENER_OPTIONS, type MqttOptions, OPTIONS } from './options.ts';
import { Room } from './room.ts';

const ALPN = ['mqtt'];
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'];

function listeners(options: MqttOptions): ListenerPlan[] {
  const web = { path: options.wsPath, subprotocols: SUBPROTOCOLS, binaryOnly: true };
  return [
    { name: 'mqtt', transport: 'tcp', listen: options.listen },
    { name: 'mqtt-tls', transport: 'tls', listen: options.tlsListen, alpn: ALPN },
    { name: 'mqtt-ws', transport: 'ws', listen: options.wsListen, ...web },
    { name: 'mqtt-wss', transport: 'wss', listen: options.wssListen, ...web },
    { name: 'mqtt-quic', transport: 'quic', listen: options.quicListen, alpn: ALPN },
  ];
}

export const mqtt: Protocol<typeof OPTIONS> = {
  name: 'mqtt',
  options: OPTIONS,
  listenerOptions: LISTENER_OPTIONS,
  listeners,
  check: ({ mountPoint }) => checkMountPoint(mountPoint),
  resources: [
    {
      noun: 'connections',
      columns: [
        'id',
        'client',
        'peer',
        'listener',
        'version',
        'user',
        'state',
        'keepAliveSec',
        'pendingBytes',
      ],
    },
    {
      noun: 'sessions',
      columns: [
        'client',
        'connected',
        'durable',
        'expirySec',
        'subscriptions',
        'queued',
        'inFlight',
      ],
    },
    {
      noun: 'delayed',
      columns: ['id', 'topic', 'due', 'client', 'user', 'qos', 'retain', 'bytes'],
    },
  ],
  open: (
    host: Host,
    options: MqttOptions,
    byListener?: ReadonlyMap<string, MqttOptions>,
  ): Instance => new Room(host, options, byListener),
};
