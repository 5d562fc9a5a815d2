/**
 * What is counted of each API: requests, bytes, how long they took and the errors that clients were
 * told. Labels are names of the protocol, so their number is bounded by it, never by clients.
 */
import { type Counter, type Histogram, LATENCY_SECONDS, type Metrics } from '#kit';
import type { Call } from './call.ts';
import { KAFKA } from './error-codes.ts';
import { MESSAGES } from './messages/index.ts';
import type { MessagePair, Rows } from './rows.ts';

/** Names of arrays that lead to a field with an error code, and the name of the field. */
type ErrorPath = readonly string[];

interface Instruments {
  readonly requests: Counter;
  readonly bytesIn: Counter;
  readonly bytesOut: Counter;
  readonly seconds: Histogram;
  readonly errorPaths: readonly ErrorPath[];
  readonly errors: Map<number, Counter>;
}

const ERROR_NAMES = new Map<number, string>(
  Object.entries(KAFKA).map(([name, code]) => [code, name]),
);

export class ApiMetrics {
  readonly #metrics: Metrics;
  readonly #byKey = new Map<number, Instruments>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    for (const pair of MESSAGES) this.#byKey.set(pair.key, instruments(metrics, pair));
  }

  began(key: number, bytes: number): void {
    const { requests, bytesIn } = this.#byKey.get(key)!;
    requests.add();
    bytesIn.add(bytes);
  }

  /** An answer was written; one that is not sent was `null`. */
  answered(call: Call, nowMs: number, bytes: number): void {
    const { key, name } = call.api.pair;
    const of = this.#byKey.get(key)!;
    of.seconds.observe((nowMs - call.beganMs) / 1000);
    of.bytesOut.add(bytes);
    const { body } = call;
    if (body === null) return;
    for (const path of of.errorPaths) this.#countErrors(of.errors, name, body, path, 0);
  }

  #countErrors(
    errors: Map<number, Counter>,
    api: string,
    at: unknown,
    path: ErrorPath,
    depth: number,
  ): void {
    const value = (at as Readonly<Record<string, unknown>>)[path[depth]!];
    if (depth < path.length - 1) {
      if (!Array.isArray(value)) return;
      for (const each of value) this.#countErrors(errors, api, each, path, depth + 1);
    } else if (typeof value === 'number' && value !== KAFKA.NONE) {
      let counter = errors.get(value);
      if (counter === undefined) {
        counter = this.#errorCounter(api, value);
        errors.set(value, counter);
      }
      counter.add();
    }
  }

  #errorCounter(api: string, code: number): Counter {
    const help = 'Errors that Kafka clients were told, by API.';
    const error = ERROR_NAMES.get(code) ?? 'UNKNOWN_SERVER_ERROR';
    return this.#metrics.counter('robustmq_kafka_errors_total', help, { api, error });
  }
}

function instruments(metrics: Metrics, pair: MessagePair): Instruments {
  const api = pair.name;
  const count = (name: string, help: string): Counter => metrics.counter(name, help, { api });
  return {
    requests: count('robustmq_kafka_requests_total', 'Kafka requests by API.'),
    bytesIn: count('robustmq_kafka_request_bytes_total', 'Bytes of Kafka requests by API.'),
    bytesOut: count('robustmq_kafka_response_bytes_total', 'Bytes of Kafka answers by API.'),
    seconds: metrics.histogram(
      'robustmq_kafka_request_seconds',
      'From a whole Kafka request to its answer, waiting included.',
      LATENCY_SECONDS,
      { api },
    ),
    errorPaths: errorPaths(pair.response, []),
    errors: new Map(),
  };
}

function errorPaths(rows: Rows, above: ErrorPath): ErrorPath[] {
  return rows.flatMap((row): ErrorPath[] => {
    if (row.name === 'errorCode') return [[...above, row.name]];
    if (row.type !== 'array' || typeof row.of === 'string') return [];
    return errorPaths(row.of, [...above, row.name]);
  });
}
