import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decompress } from '#broker';
import { ProtocolError } from '#kit';
import { apiOf, readHeaderRest, readHeaderStart } from '../codec.ts';
import { pushTelemetry } from '../messages/72-push-telemetry.ts';
import { Reader } from '../reader.ts';
import { field, otlp } from './otlp.fixture.ts';
import { type MetricPoint, readMetrics } from './otlp-metrics.ts';

function read(bytes: Buffer): MetricPoint[] {
  const points: MetricPoint[] = [];
  readMetrics(bytes, (point) => points.push(point));
  return points;
}

test('gauges and sums are read with their attributes; the rest is passed over K82', () => {
  const bytes = otlp(
    { name: 'a.rate', value: 1.5, attributes: { topic: 't', partition: '0' } },
    { name: 'a.total', value: -7, kind: 'delta', isWhole: true },
    { name: 'b.total', value: 2 ** 40, kind: 'cumulative', isWhole: true },
  );
  const histogram = field(2, Buffer.concat([field(1, Buffer.from('h')), field(9, otlp())]));
  assert.deepEqual(read(Buffer.concat([bytes, field(1, field(2, histogram))])), [
    { name: 'a.rate', attributes: 'topic=t,partition=0', isDelta: false, value: 1.5 },
    { name: 'a.total', attributes: '', isDelta: true, value: -7 },
    { name: 'b.total', attributes: '', isDelta: false, value: 2 ** 40 },
  ]);
  assert.deepEqual(read(Buffer.alloc(0)), []);
});

test('what Java clients push is read K82 K172', () => {
  const file = new URL(
    '../../../../test/golden/kafka/kafka-clients-4.3.1-telemetry.json',
    import.meta.url,
  );
  const { frames } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly frames: readonly { readonly key: number; readonly request: string }[];
  };
  const names = new Set<string>();
  const api = apiOf(pushTelemetry);
  for (const { request } of frames.filter(({ key }) => key === pushTelemetry.key)) {
    const reader = new Reader(Buffer.from(request, 'hex'));
    readHeaderRest(reader, readHeaderStart(reader), true);
    const { compressionType, metrics } = api.readRequest(reader, 0);
    readMetrics(decompress(compressionType, metrics, 1 << 20), (point) => {
      assert.ok(Number.isFinite(point.value) || Number.isNaN(point.value));
      names.add(point.name);
    });
  }
  assert.ok(names.size > 50, `${names.size} names`);
  const kinds = ['producer.record.send.total', 'consumer.fetch.manager.records.consumed.total'];
  for (const kind of [...kinds, 'admin.client.request.total']) {
    assert.ok(names.has(`org.apache.kafka.${kind}`), kind);
  }
});

test('bytes that are no metrics end in an error, wherever they are cut or changed K8 K82', () => {
  const attributes = { topic: 't' };
  const whole = otlp({ name: 'a.rate', value: 1.5, attributes }, { name: 'b', value: 2 });
  let refused = 0;
  const attempt = (bytes: Buffer) => {
    try {
      read(bytes);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
      refused++;
    }
  };
  for (let size = 1; size < whole.length; size++) attempt(whole.subarray(0, size));
  assert.equal(refused, whole.length - 1, 'the outermost message has its length in front');
  for (let at = 0; at < whole.length; at++) {
    for (const bits of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(whole);
      changed[at] = changed[at]! ^ bits;
      attempt(changed);
    }
  }
  // A length of more than is there, and a number without an end.
  assert.throws(() => read(Buffer.from('0affffffff7f00', 'hex')), ProtocolError);
  assert.throws(() => read(Buffer.from('0affffffffffffffffffffff', 'hex')), ProtocolError);
  assert.throws(() => read(Buffer.from('0b', 'hex')), ProtocolError);
});
