/**
 * Metrics that clients push (KIP-714), from the subscription to the values: the checks of Kafka in
 * its order, and what the server shows of it. The values of each client are a list for
 * administrators; the server's own metrics tell how many clients push and how much.
 */
import { decompress } from '#broker';
import type { Host } from '#contract';
import { BrokerError, type Counter, crc32c, ProtocolError, uuid } from '#kit';
import { KAFKA } from '../error-codes.ts';
import type { KafkaOptions } from '../options.ts';
import { ZERO_UUID } from '../rows.ts';
import { type ClientInstance, ClientInstances } from './client-instances.ts';
import type { ClientFacts, ClientMetricsConfigs } from './client-metrics-configs.ts';
import { readMetrics } from './otlp-metrics.ts';

/** Zstandard, LZ4, gzip, Snappy: the best first. */
export const ACCEPTED_CODECS: readonly number[] = [4, 3, 1, 2];
const UNCOMPRESSED = 0;
/** What a push may open to, in times of its largest size. */
const OPENED_TIMES = 10;
/** Ids that mean something else to clients. */
const RESERVED_IDS: readonly string[] = [ZERO_UUID, '00000000-0000-0000-0000-000000000001'];

export interface Push {
  readonly clientInstanceId: string;
  readonly subscriptionId: number;
  readonly terminating: boolean;
  readonly compressionType: number;
  readonly metrics: Buffer;
}

export class ClientTelemetry {
  readonly instances = new ClientInstances();
  readonly #host: Host;
  readonly #configs: ClientMetricsConfigs;
  readonly #bytesMax: number;
  readonly #pushes: Counter;
  readonly #bytes: Counter;
  readonly #dropped: Counter;
  readonly #stopMeasuring: () => void;

  constructor(host: Host, options: KafkaOptions, configs: ClientMetricsConfigs) {
    this.#host = host;
    this.#configs = configs;
    this.#bytesMax = options.telemetryBytesMax;
    const { metrics } = host;
    const name = 'robustmq_kafka_client_metrics';
    this.#pushes = metrics.counter(`${name}_pushes_total`, 'Pushes of metrics by Kafka clients.');
    this.#bytes = metrics.counter(`${name}_bytes_total`, 'Bytes of these pushes, as sent.');
    this.#dropped = metrics.counter(
      `${name}_dropped_total`,
      'Values in these pushes that there was no room for.',
    );
    const pushing = metrics.gauge(`${name}_clients`, 'Kafka clients that push metrics.');
    this.#stopMeasuring = metrics.onRead(() => {
      this.instances.sweep(host.clock.monotonicMs());
      let count = 0;
      for (const { values } of this.instances.all()) if (values.size > 0) count++;
      pushing.set(count);
    });
  }

  /** @returns what the client is asked for, or an error code */
  subscribe(id: string, factsOf: (id: string) => ClientFacts): ClientInstance | number {
    const known = RESERVED_IDS.includes(id) ? uuid(this.#host.random) : id;
    const instance = this.instances.of(known, factsOf(known));
    this.#ask(instance);
    const mayGet = instance.mayGet(this.#host.clock.monotonicMs());
    instance.lastError = KAFKA.NONE;
    return mayGet ? instance : KAFKA.THROTTLING_QUOTA_EXCEEDED;
  }

  /** @returns an error code */
  push(push: Push, factsOf: (id: string) => ClientFacts): number {
    const { clientInstanceId: id } = push;
    if (RESERVED_IDS.includes(id)) return KAFKA.INVALID_REQUEST;
    const instance = this.instances.of(id, factsOf(id));
    this.#ask(instance);
    const fault = this.#fault(instance, push);
    instance.lastError = fault;
    if (fault !== KAFKA.NONE) return fault;
    this.#pushes.add();
    this.#bytes.add(push.metrics.length);
    const failed = this.#take(instance, push);
    if (push.terminating) this.instances.end(instance);
    return failed;
  }

  /** The last values of those who push, for administrators. */
  *rows(): Generator<Readonly<Record<string, string | number>>> {
    this.instances.sweep(this.#host.clock.monotonicMs());
    for (const { id, facts, values } of this.instances.all()) {
      const software = `${facts.client_software_name} ${facts.client_software_version}`.trim();
      const peer = `${facts.client_source_address}:${facts.client_source_port}`;
      const client = facts.client_id;
      for (const [metric, value] of values) {
        yield { instance: id, client, software, peer, metric, value };
      }
    }
  }

  close(): void {
    this.#stopMeasuring();
  }

  #fault(instance: ClientInstance, push: Push): number {
    if (instance.ended) return KAFKA.INVALID_REQUEST;
    if (!instance.mayPush(this.#host.clock.monotonicMs()) && !push.terminating) {
      return KAFKA.THROTTLING_QUOTA_EXCEEDED;
    }
    if (push.subscriptionId !== instance.subscriptionId) return KAFKA.UNKNOWN_SUBSCRIPTION_ID;
    const { compressionType: codec } = push;
    if (codec !== UNCOMPRESSED && !ACCEPTED_CODECS.includes(codec)) {
      return KAFKA.UNSUPPORTED_COMPRESSION_TYPE;
    }
    return push.metrics.length > this.#bytesMax ? KAFKA.TELEMETRY_TOO_LARGE : KAFKA.NONE;
  }

  #take(instance: ClientInstance, { compressionType, metrics }: Push): number {
    if (metrics.length === 0) return KAFKA.NONE;
    try {
      const bytes = decompress(compressionType, metrics, this.#bytesMax * OPENED_TIMES);
      readMetrics(bytes, (point) => {
        if (!this.instances.note(instance, point)) this.#dropped.add();
      });
      return KAFKA.NONE;
    } catch (error) {
      if (error instanceof ProtocolError) return KAFKA.INVALID_RECORD;
      if (!(error instanceof BrokerError)) throw error;
      return KAFKA.TELEMETRY_TOO_LARGE;
    }
  }

  /** Compares a client with the subscriptions, when these have changed since. */
  #ask(instance: ClientInstance): void {
    if (instance.version === this.#configs.version) return;
    instance.version = this.#configs.version;
    const asked = this.#configs.askedOf(instance.facts);
    instance.asked = asked;
    const text = JSON.stringify([asked.metrics, asked.intervalMs, instance.id]);
    instance.subscriptionId = crc32c(Buffer.from(text)) | 0;
  }
}
