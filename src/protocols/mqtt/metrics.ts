/** What is counted about MQTT. */
import type { Counter, Gauge, Metrics } from '#kit';

export interface MqttMetrics {
  readonly connections: Gauge;
  readonly sessions: Gauge;
  readonly received: Counter;
  readonly sent: Counter;
  /** QoS 0 messages that a slow client lost. */
  readonly droppedSlow: Counter;
  readonly droppedTooLarge: Counter;
  readonly droppedExpired: Counter;
  /** Messages that a client may not publish, or that the disk could not take. */
  readonly refused: Counter;
  readonly malformed: Counter;
}

export function mqttMetrics(metrics: Metrics): MqttMetrics {
  const dropped = (reason: string): Counter =>
    metrics.counter(
      'robustmq_mqtt_messages_dropped_total',
      'Messages not sent to a client that subscribed to them, by reason.',
      { reason },
    );
  return {
    connections: metrics.gauge('robustmq_mqtt_connections', 'Clients connected with MQTT.'),
    sessions: metrics.gauge('robustmq_mqtt_sessions', 'MQTT sessions, with or without a client.'),
    received: metrics.counter('robustmq_mqtt_messages_received_total', 'PUBLISH from clients.'),
    sent: metrics.counter('robustmq_mqtt_messages_sent_total', 'PUBLISH sent to clients.'),
    droppedSlow: dropped('slow-client'),
    droppedTooLarge: dropped('too-large'),
    droppedExpired: dropped('expired'),
    refused: metrics.counter('robustmq_mqtt_messages_refused_total', 'PUBLISH refused.'),
    malformed: metrics.counter(
      'robustmq_mqtt_protocol_errors_total',
      'Connections closed for malformed packets or protocol errors.',
    ),
  };
}
