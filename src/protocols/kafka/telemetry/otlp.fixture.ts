/** Writes metrics of OpenTelemetry, for tests: what a client would push. */

export interface WrittenMetric {
  readonly name: string;
  readonly value: number;
  /** A sum of differences, a running sum, or a gauge. */
  readonly kind?: 'delta' | 'cumulative' | 'gauge';
  readonly attributes?: Readonly<Record<string, string>>;
  readonly isWhole?: boolean;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

export function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function fixed(number: number, value: number, isWhole: boolean): Buffer {
  const bytes = Buffer.alloc(8);
  if (isWhole) bytes.writeBigInt64LE(BigInt(value));
  else bytes.writeDoubleLE(value);
  return Buffer.concat([varint(number * 8 + 1), bytes]);
}

function metric({ name, value, kind = 'gauge', attributes = {}, isWhole }: WrittenMetric): Buffer {
  const pairs = Object.entries(attributes).map(([key, text]) =>
    field(7, Buffer.concat([field(1, Buffer.from(key)), field(2, field(1, Buffer.from(text)))])),
  );
  // The time of the point is not read.
  const point = Buffer.concat([
    fixed(3, 1, true),
    isWhole === true ? fixed(6, value, true) : fixed(4, value, false),
    ...pairs,
  ]);
  const temporality = Buffer.from([2 * 8, kind === 'delta' ? 1 : 2]);
  const numbers = kind === 'gauge' ? [field(1, point)] : [field(1, point), temporality];
  const data = field(kind === 'gauge' ? 5 : 7, Buffer.concat(numbers));
  return Buffer.concat([field(1, Buffer.from(name)), data]);
}

export function otlp(...metrics: readonly WrittenMetric[]): Buffer {
  const scope = field(2, Buffer.concat(metrics.map((one) => field(2, metric(one)))));
  const resource = field(1, field(1, field(1, Buffer.from('service.name'))));
  return field(1, Buffer.concat([resource, scope]));
}
