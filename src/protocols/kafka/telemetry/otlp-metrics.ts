/**
 * Reads metrics of OpenTelemetry (`MetricsData` of opentelemetry/proto/metrics/v1) as Kafka clients
 * push them: gauges and sums with their numbers. Histograms and summaries, which no client sends,
 * are passed over, and so is what a later version adds. Works in place; nothing is kept.
 */
import { ProtocolError } from '#kit';

export interface MetricPoint {
  readonly name: string;
  /** `key=value` pairs with commas between; empty without attributes. */
  readonly attributes: string;
  /** A difference to the push before, not a value of its own. */
  readonly isDelta: boolean;
  readonly value: number;
}

type Found = (point: MetricPoint) => void;

/** Kinds of fields on the wire. */
const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

/** Numbers of the fields that are read, by message. */
const METRICS_DATA = { RESOURCE_METRICS: 1 } as const;
const RESOURCE_METRICS = { SCOPE_METRICS: 2 } as const;
const SCOPE_METRICS = { METRICS: 2 } as const;
const METRIC = { NAME: 1, GAUGE: 5, SUM: 7 } as const;
const SUM = { DATA_POINTS: 1, TEMPORALITY: 2 } as const;
const POINT = { AS_DOUBLE: 4, AS_INT: 6, ATTRIBUTES: 7 } as const;
const KEY_VALUE = { KEY: 1, VALUE: 2 } as const;
const ANY_VALUE = { STRING: 1, BOOL: 2, INT: 3, DOUBLE: 4 } as const;

const DELTA = 1;
const VARINT_BYTES_MAX = 10;

/** A message within the bytes: its fields, one after the other. */
class Fields {
  readonly bytes: Buffer;
  readonly end: number;
  #at: number;
  /** Of the field that `next` came to. */
  number = 0;
  wire = 0;
  /** Value of a varint; where fixed numbers and bytes begin. */
  value = 0;
  /** Where the field ends. */
  after = 0;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.end = end;
    this.#at = at;
  }

  /** @returns false at the end */
  next(): boolean {
    if (this.#at === this.end) return false;
    const tag = this.#varint();
    this.number = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.wire === WIRE.VARINT) this.value = this.#varint();
    else {
      const size = this.#size();
      if (size > this.end - this.#at) this.#fail('is cut off');
      this.value = this.#at;
      this.#at += size;
    }
    this.after = this.#at;
    return true;
  }

  is(number: number, wire: number): boolean {
    return this.number === number && this.wire === wire;
  }

  /** The message that the field holds. */
  inner(): Fields {
    return new Fields(this.bytes, this.value, this.after);
  }

  text(): string {
    return this.bytes.toString('utf8', this.value, this.after);
  }

  double(): number {
    return this.bytes.readDoubleLE(this.value);
  }

  int64(): number {
    return Number(this.bytes.readBigInt64LE(this.value));
  }

  #size(): number {
    switch (this.wire) {
      case WIRE.FIXED64:
        return 8;
      case WIRE.FIXED32:
        return 4;
      case WIRE.BYTES:
        return this.#varint();
      default:
        return this.#fail(`has the wire type ${this.wire}`);
    }
  }

  /** Beyond 2^53 it loses its last bits: no tag, length or flag is so large. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX && this.#at < this.end; count++) {
      const byte = this.bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    return this.#fail('has a number without an end');
  }

  #fail(what: string): never {
    throw new ProtocolError('metrics', this.#at, `a field ${what}`);
  }
}

/** @throws ProtocolError for what is no such message */
export function readMetrics(bytes: Buffer, found: Found): void {
  const data = new Fields(bytes, 0, bytes.length);
  while (data.next()) {
    if (!data.is(METRICS_DATA.RESOURCE_METRICS, WIRE.BYTES)) continue;
    const resource = data.inner();
    while (resource.next()) {
      if (!resource.is(RESOURCE_METRICS.SCOPE_METRICS, WIRE.BYTES)) continue;
      const scope = resource.inner();
      while (scope.next()) {
        if (scope.is(SCOPE_METRICS.METRICS, WIRE.BYTES)) readMetric(scope.inner(), found);
      }
    }
  }
}

/** The name may stand behind the numbers. */
function readMetric(metric: Fields, found: Found): void {
  let name = '';
  const data: Fields[] = [];
  while (metric.next()) {
    if (metric.is(METRIC.NAME, WIRE.BYTES)) name = metric.text();
    else if (metric.is(METRIC.GAUGE, WIRE.BYTES) || metric.is(METRIC.SUM, WIRE.BYTES)) {
      data.push(metric.inner());
    }
  }
  for (const numbers of data) readNumbers(name, numbers, found);
}

function readNumbers(name: string, numbers: Fields, found: Found): void {
  let isDelta = false;
  const points: Fields[] = [];
  while (numbers.next()) {
    if (numbers.is(SUM.DATA_POINTS, WIRE.BYTES)) points.push(numbers.inner());
    else if (numbers.is(SUM.TEMPORALITY, WIRE.VARINT)) isDelta = numbers.value === DELTA;
  }
  for (const point of points) {
    let value: number | null = null;
    let attributes = '';
    while (point.next()) {
      if (point.is(POINT.AS_DOUBLE, WIRE.FIXED64)) value = point.double();
      else if (point.is(POINT.AS_INT, WIRE.FIXED64)) value = point.int64();
      else if (point.is(POINT.ATTRIBUTES, WIRE.BYTES)) {
        attributes += `${attributes === '' ? '' : ','}${readPair(point.inner())}`;
      }
    }
    if (value !== null) found({ name, attributes, isDelta, value });
  }
}

function readPair(pair: Fields): string {
  let key = '';
  let value = '';
  while (pair.next()) {
    if (pair.is(KEY_VALUE.KEY, WIRE.BYTES)) key = pair.text();
    else if (pair.is(KEY_VALUE.VALUE, WIRE.BYTES)) value = readValue(pair.inner());
  }
  return `${key}=${value}`;
}

function readValue(any: Fields): string {
  let value = '';
  while (any.next()) {
    if (any.is(ANY_VALUE.STRING, WIRE.BYTES)) value = any.text();
    else if (any.is(ANY_VALUE.BOOL, WIRE.VARINT)) value = String(any.value === 1);
    else if (any.is(ANY_VALUE.INT, WIRE.VARINT)) value = String(any.value);
    else if (any.is(ANY_VALUE.DOUBLE, WIRE.FIXED64)) value = String(any.double());
  }
  return value;
}
