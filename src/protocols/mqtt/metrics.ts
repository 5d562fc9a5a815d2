/** What is counted about MQTT. Labels are levels of QoS and reasons, never names of clients. */
import { type Counter, type Gauge, type Histogram, LATENCY_SECONDS, type Metrics } from '#kit';

/** By QoS. */
export type PerQos = readonly [Counter, Counter, Counter];

export interface MqttMetrics {
  readonly connections: Gauge;
  readonly sessions: Gauge;
  /** Of all sessions, with a client or not. */
  readonly subscriptions: Gauge;
  /** QoS 1 and 2 messages that wait for sessions in memory, and under way to their clients. */
  readonly queued: Gauge;
  readonly inFlight: Gauge;
  /** The longest queue of a session in memory. */
  readonly longestQueue: Gauge;
  /** Sessions that are not in memory, and what waits for them. */
  readonly sessionsCold: Gauge;
  readonly queuedCold: Gauge;
  readonly received: PerQos;
  readonly sent: PerQos;
  /** Payload bytes of what was received. */
  readonly receivedBytes: Counter;
  readonly sentBytes: Counter;
  /** Packets of all types from clients. */
  readonly packetsReceived: Counter;
  /** QoS 0 messages that a slow client lost. */
  readonly droppedSlow: Counter;
  readonly droppedTooLarge: Counter;
  readonly droppedExpired: Counter;
  /** QoS 1 and 2 messages for a session whose queue had its limit. */
  readonly droppedFull: Counter;
  /** Messages that a client may not publish, or that the disk could not take. */
  readonly refused: Counter;
  readonly malformed: Counter;
  /** From CONNECT to CONNACK, in seconds. */
  readonly handshake: Histogram;
  /** From the broker's taking a message to its sending, in seconds; one message in 64. */
  readonly delivery: Histogram;
}

export function mqttMetrics(metrics: Metrics): MqttMetrics {
  const dropped = (reason: string): Counter =>
    metrics.counter(
      'robustmq_mqtt_messages_dropped_total',
      'Messages not sent to a client that subscribed to them, by reason.',
      { reason },
    );
  const perQos = (what: string, help: string): PerQos => {
    const one = (qos: string): Counter =>
      metrics.counter(`robustmq_mqtt_messages_${what}_total`, help, { qos });
    return [one('0'), one('1'), one('2')];
  };
  const counter = (what: string, help: string): Counter =>
    metrics.counter(`robustmq_mqtt_${what}_total`, help);
  const latency = (what: string, help: string): Histogram =>
    metrics.histogram(`robustmq_mqtt_${what}_seconds`, help, LATENCY_SECONDS);
  return {
    connections: metrics.gauge('robustmq_mqtt_connections', 'Clients connected with MQTT.'),
    sessions: metrics.gauge('robustmq_mqtt_sessions', 'MQTT sessions, with or without a client.'),
    subscriptions: metrics.gauge('robustmq_mqtt_subscriptions', 'Subscriptions of all sessions.'),
    queued: metrics.gauge(
      'robustmq_mqtt_queue_messages',
      'QoS 1 and 2 messages that wait for sessions in memory.',
    ),
    inFlight: metrics.gauge(
      'robustmq_mqtt_in_flight_messages',
      'QoS 1 and 2 messages that clients have not acknowledged.',
    ),
    longestQueue: metrics.gauge(
      'robustmq_mqtt_queue_messages_longest',
      'The longest queue of a session in memory.',
    ),
    sessionsCold: metrics.gauge(
      'robustmq_mqtt_sessions_cold',
      'MQTT sessions that are not in memory.',
    ),
    queuedCold: metrics.gauge(
      'robustmq_mqtt_queue_messages_cold',
      'QoS 1 and 2 messages that wait for sessions that are not in memory.',
    ),
    received: perQos('received', 'PUBLISH from clients.'),
    sent: perQos('sent', 'PUBLISH sent to clients.'),
    receivedBytes: counter('payload_received_bytes', 'Payload bytes of PUBLISH from clients.'),
    sentBytes: counter('payload_sent_bytes', 'Payload bytes of PUBLISH sent to clients.'),
    packetsReceived: counter('packets_received', 'Packets of all types from clients.'),
    droppedSlow: dropped('slow-client'),
    droppedTooLarge: dropped('too-large'),
    droppedExpired: dropped('expired'),
    droppedFull: dropped('queue-full'),
    refused: counter('messages_refused', 'PUBLISH refused.'),
    malformed: counter(
      'protocol_errors',
      'Connections closed for malformed packets or protocol errors.',
    ),
    handshake: latency('handshake', 'From CONNECT to CONNACK.'),
    delivery: latency('delivery', 'From taking a message to sending it; one message in 64.'),
  };
}

/** Adds up what waits: once when somebody looks, instead of with every message. */
export function showQueues(
  { queued, inFlight, longestQueue }: MqttMetrics,
  sessions: Iterable<{ readonly queue: Depth | null; readonly inFlight: number }>,
): void {
  let all = 0;
  let sent = 0;
  let longest = 0;
  for (const session of sessions) {
    const depth = session.queue?.readyCount ?? 0;
    all += depth;
    sent += session.inFlight;
    longest = Math.max(longest, depth);
  }
  queued.set(all);
  inFlight.set(sent);
  longestQueue.set(longest);
}

interface Depth {
  readonly readyCount: number;
}

export function sumOf(counters: PerQos): number {
  return counters[0].value + counters[1].value + counters[2].value;
}
