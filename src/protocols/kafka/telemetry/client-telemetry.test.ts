import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ManualTimers, openTestHost, type TestHost } from '../../../../test/contract/test-host.ts';
import { Client, openRoom } from '../client.fixture.ts';
import { KAFKA } from '../error-codes.ts';
import { apiVersions } from '../messages/18-api-versions.ts';
import { describeConfigs } from '../messages/32-describe-configs.ts';
import { incrementalAlterConfigs } from '../messages/44-incremental-alter-configs.ts';
import { getTelemetrySubscriptions } from '../messages/71-get-telemetry-subscriptions.ts';
import { pushTelemetry } from '../messages/72-push-telemetry.ts';
import { listConfigResources } from '../messages/74-list-config-resources.ts';
import type { Room } from '../room.ts';
import { ZERO_UUID } from '../rows.ts';
import { otlp } from './otlp.fixture.ts';

const CLIENT_METRICS = 16;
const SET = 0;
const DELETE = 1;
const APPEND = 2;
const INTERVAL_MS = 10_000;
const GZIP = 1;
const ZSTD = 4;

describe('metrics of clients', () => {
  const timers = new ManualTimers();
  let host: TestHost;
  let room: Room;
  let admin: Client;
  before(async () => {
    host = await openTestHost({ timers, clock: timers.clock });
    room = openRoom(host, { telemetryBytesMax: 1024 });
    await host.broker.principals.setUser('root', 'secret', { superuser: true });
    const identity = { commonName: 'root', digest: '', user: 'root', clientId: null };
    admin = new Client(room, { peer: { identity } });
  });
  afterEach(async () => {
    for (const name of [...room.clientMetrics.names()]) {
      await alter(
        name,
        ['metrics', 'interval.ms', 'match'].map((one) => [one, DELETE, null]),
      );
    }
  });
  after(async () => {
    const closing = room.close();
    timers.pass(10_000);
    await closing;
    await host.close();
  });

  type Change = readonly [name: string, operation: number, value: string | null];

  async function alter(resourceName: string, changes: readonly Change[], client = admin) {
    const configs = changes.map(([name, configOperation, value]) => {
      return { name, configOperation, value };
    });
    const resources = [{ resourceType: CLIENT_METRICS, resourceName, configs }];
    const asked = { resources, validateOnly: false };
    const { responses } = await client.ask(incrementalAlterConfigs, 1, asked);
    return responses[0]!.errorCode;
  }

  const subscribe = (name: string, metrics: string, match = '') =>
    alter(name, [
      ['metrics', SET, metrics],
      ['interval.ms', SET, String(INTERVAL_MS)],
      ['match', SET, match],
    ]);

  const get = (client: Client, clientInstanceId = ZERO_UUID) =>
    client.ask(getTelemetrySubscriptions, 0, { clientInstanceId });

  interface PushMore {
    readonly metrics?: Buffer;
    readonly compressionType?: number;
    readonly terminating?: boolean;
  }

  async function push(
    client: Client,
    { clientInstanceId, subscriptionId }: { clientInstanceId: string; subscriptionId: number },
    { metrics = otlp(), compressionType = 0, terminating = false }: PushMore = {},
  ) {
    const asked = { clientInstanceId, subscriptionId, terminating, compressionType, metrics };
    return (await client.ask(pushTelemetry, 0, asked)).errorCode;
  }

  const valuesOf = (instance: string) =>
    [...room.list('client-metrics')]
      .filter((row) => row['instance'] === instance)
      .map(({ metric, value }) => [metric, value]);

  it('a client gets an id, keeps it, and is asked for nothing without a subscription K82 K171', async () => {
    const client = new Client(room);
    const first = await get(client);
    assert.equal(first.errorCode, KAFKA.NONE);
    assert.match(first.clientInstanceId, /^[0-9a-f]{8}-/);
    assert.notEqual(first.clientInstanceId, ZERO_UUID);
    assert.deepEqual(first.requestedMetrics, []);
    assert.deepEqual(first.acceptedCompressionTypes, [4, 3, 1, 2]);
    assert.deepEqual([first.pushIntervalMs, first.telemetryMaxBytes], [300_000, 1024]);
    assert.equal(first.deltaTemporality, true);
    const early = await get(client, first.clientInstanceId);
    assert.equal(early.errorCode, KAFKA.THROTTLING_QUOTA_EXCEEDED);
    timers.pass(300_000);
    const again = await get(client, first.clientInstanceId);
    assert.deepEqual(again, first, 'the same id and the same subscription');
    const other = await get(client);
    assert.notEqual(other.clientInstanceId, first.clientInstanceId);
  });

  it('all subscriptions that fit a client are added up; the shortest interval holds K82 K171', async () => {
    assert.equal(await subscribe('one', 'org.apache.kafka.producer.'), KAFKA.NONE);
    const facts = 'client_id=test-.*,client_software_name=mine,client_source_address=127\\..*';
    assert.equal(await subscribe('two', 'b.,a.', facts), KAFKA.NONE);
    assert.equal(await alter('two', [['interval.ms', SET, '2000']]), KAFKA.NONE);
    assert.equal(await subscribe('other', '*', 'client_id=test'), KAFKA.NONE);
    const client = new Client(room);
    await client.ask(apiVersions, 3, {
      ...{ clientSoftwareName: 'mine', clientSoftwareVersion: '1.0' },
    });
    const told = await get(client);
    assert.deepEqual(told.requestedMetrics, ['a.', 'b.', 'org.apache.kafka.producer.']);
    assert.equal(told.pushIntervalMs, 2000);
    const stranger = await get(new Client(room));
    assert.deepEqual(stranger.requestedMetrics, ['org.apache.kafka.producer.']);
    assert.equal(stranger.pushIntervalMs, INTERVAL_MS);
    assert.notEqual(stranger.subscriptionId, told.subscriptionId);
    assert.equal(await subscribe('all', '*'), KAFKA.NONE);
    assert.deepEqual((await get(new Client(room))).requestedMetrics, ['*']);
  });

  it('every fact of a client can choose it, by the whole of its text K82', async () => {
    const client = new Client(room, { peer: { address: '192.0.2.7', port: 4711, loopback: true } });
    await client.ask(apiVersions, 3, {
      ...{ clientSoftwareName: 'mine', clientSoftwareVersion: '1.20' },
    });
    const id = '10000000-0000-4000-8000-00000000abcd';
    const fits = [
      'client_instance_id=.*abcd',
      'client_id=test-client',
      'client_software_name=(m|n)in.',
      'client_software_version=1\\.[0-9]+',
      'client_source_address=192\\.0\\.2\\.7',
      'client_source_port=4711',
    ];
    for (const match of fits) {
      assert.equal(await subscribe('chosen', 'a.', match), KAFKA.NONE);
      timers.pass(300_000);
      assert.deepEqual((await get(client, id)).requestedMetrics, ['a.'], match);
      assert.equal(await subscribe('chosen', 'a.', match.replace('=', '=x')), KAFKA.NONE);
      timers.pass(300_000);
      assert.deepEqual((await get(client, id)).requestedMetrics, [], `x ${match}`);
      assert.equal(await subscribe('chosen', 'a.', match.slice(0, -1)), KAFKA.NONE);
      timers.pass(300_000);
      assert.deepEqual((await get(client, id)).requestedMetrics, [], `a part of ${match}`);
    }
  });

  it('values are shown per client: gauges as they are, differences added up K82 K172', async () => {
    await subscribe('all', '*');
    const client = new Client(room);
    const told = await get(client);
    // The first push comes at any time: clients spread them.
    const metrics = otlp(
      { name: 'lag', value: 7, attributes: { topic: 't' } },
      { name: 'sent', value: 5, kind: 'delta' },
      { name: 'all', value: 5, kind: 'cumulative' },
    );
    assert.equal(await push(client, told, { metrics }), KAFKA.NONE);
    assert.deepEqual(valuesOf(told.clientInstanceId), [
      ...[
        ['lag{topic=t}', 7],
        ['sent', 5],
        ['all', 5],
      ],
    ]);
    timers.pass(INTERVAL_MS);
    const packed = { compressionType: ZSTD, metrics: zstdCompressSync(metrics) };
    assert.equal(await push(client, told, packed), KAFKA.NONE);
    assert.deepEqual(valuesOf(told.clientInstanceId), [
      ...[
        ['lag{topic=t}', 7],
        ['sent', 10],
        ['all', 5],
      ],
    ]);
    const [row] = room.list('client-metrics');
    assert.deepEqual([row!['client'], row!['software']], ['test-client', '']);
    const families = new Map([...host.metrics.read()].map((one) => [one.name, one.series[0]!]));
    const shown = (name: string) =>
      (families.get(`robustmq_kafka_client_metrics_${name}`)!.instrument as { value: number })
        .value;
    assert.equal(shown('clients'), 1);
    assert.equal(shown('bytes_total'), metrics.length + packed.metrics.length);
    assert.equal(shown('dropped_total'), 0);
    timers.pass(INTERVAL_MS);
    const rest = otlp({ name: 'sent', value: Number.NaN }, { name: 'all', value: Number.NaN });
    assert.equal(await push(client, told, { metrics: rest }), KAFKA.NONE);
    assert.deepEqual(valuesOf(told.clientInstanceId), [['lag{topic=t}', 7]]);
    // Who is silent for three intervals and a minute is not shown any more.
    timers.pass(60_000);
    assert.equal(valuesOf(told.clientInstanceId).length, 1);
    timers.pass(1);
    assert.deepEqual(valuesOf(told.clientInstanceId), []);
  });

  it('who pushes too early, too much, in a wrong way or under an old subscription is told K82 K172', async () => {
    await subscribe('all', '*');
    const client = new Client(room);
    const told = await get(client);
    const zero = { ...told, clientInstanceId: ZERO_UUID };
    assert.equal(await push(client, zero), KAFKA.INVALID_REQUEST);
    assert.equal(await push(client, told), KAFKA.NONE);
    timers.pass(INTERVAL_MS - 1);
    assert.equal(await push(client, told), KAFKA.THROTTLING_QUOTA_EXCEEDED);
    timers.pass(1);
    const large = { metrics: Buffer.alloc(1025) };
    assert.equal(await push(client, told, large), KAFKA.TELEMETRY_TOO_LARGE);
    timers.pass(INTERVAL_MS);
    const bomb = { metrics: gzipSync(Buffer.alloc(20_000)), compressionType: GZIP };
    assert.ok(bomb.metrics.length < 1024);
    assert.equal(await push(client, told, bomb), KAFKA.TELEMETRY_TOO_LARGE);
    timers.pass(INTERVAL_MS);
    const broken = { metrics: Buffer.from('no metrics'), compressionType: GZIP };
    assert.equal(await push(client, told, broken), KAFKA.INVALID_RECORD);
    timers.pass(INTERVAL_MS);
    assert.equal(await push(client, told, { metrics: broken.metrics }), KAFKA.INVALID_RECORD);
    timers.pass(INTERVAL_MS);
    const unknown = { compressionType: 5 };
    assert.equal(await push(client, told, unknown), KAFKA.UNSUPPORTED_COMPRESSION_TYPE);
    // After this error and the next the client asks again at once.
    const asked = await get(client, told.clientInstanceId);
    assert.deepEqual([asked.errorCode, asked.subscriptionId], [KAFKA.NONE, told.subscriptionId]);
    await subscribe('all', 'a.');
    timers.pass(INTERVAL_MS);
    assert.equal(await push(client, told), KAFKA.UNKNOWN_SUBSCRIPTION_ID);
    const anew = await get(client, told.clientInstanceId);
    assert.equal(anew.errorCode, KAFKA.NONE);
    assert.notEqual(anew.subscriptionId, told.subscriptionId);
    assert.equal(await push(client, anew), KAFKA.NONE);
    const stranger = { clientInstanceId: '10000000-0000-4000-8000-000000000001' };
    const fault = await push(client, { ...stranger, subscriptionId: 1 });
    assert.equal(fault, KAFKA.UNKNOWN_SUBSCRIPTION_ID, 'it has asked for nothing');
  });

  it('the last push of a client comes at any time, and is the last K82 K172', async () => {
    await subscribe('all', '*');
    const client = new Client(room);
    const told = await get(client);
    const metrics = otlp({ name: 'lag', value: 7 });
    assert.equal(await push(client, told, { metrics }), KAFKA.NONE);
    assert.equal(valuesOf(told.clientInstanceId).length, 1);
    assert.equal(await push(client, told, { metrics, terminating: true }), KAFKA.NONE);
    assert.deepEqual(valuesOf(told.clientInstanceId), []);
    assert.equal(await push(client, told, { terminating: true }), KAFKA.INVALID_REQUEST);
    timers.pass(INTERVAL_MS);
    assert.equal(await push(client, told), KAFKA.INVALID_REQUEST);
  });

  it('a client keeps so many values, whatever it pushes; the others are counted K82', async () => {
    await subscribe('all', '*');
    const other = openRoom(host);
    const client = new Client(other);
    const told = await get(client);
    const many = Array.from({ length: 1500 }, (_, n) => ({ name: `m${n}`, value: n }));
    const metrics = otlp({ name: 'x'.repeat(600), value: 1 }, ...many);
    assert.equal(await push(client, told, { metrics }), KAFKA.NONE);
    assert.equal([...other.list('client-metrics')].length, 1000);
    const dropped = host.metrics.counter('robustmq_kafka_client_metrics_dropped_total', '');
    assert.equal(dropped.value, 501);
    const closing = other.close();
    timers.pass(10_000);
    await closing;
  });

  it('subscriptions are set, shown, listed and taken back, by whom the cluster allows K80 K82 K174', async () => {
    const rights = await alter('s', [['metrics', SET, 'a.']], new Client(room));
    assert.equal(rights, KAFKA.CLUSTER_AUTHORIZATION_FAILED);
    assert.equal(await alter('s', [['metrics', SET, 'a.']]), KAFKA.NONE);
    assert.equal(await alter('s', [['metrics', APPEND, 'b.']]), KAFKA.NONE);
    assert.equal(await alter('s', [['interval.ms', APPEND, '1']]), KAFKA.INVALID_CONFIG);
    assert.equal(await alter('s', [['interval.ms', SET, '99']]), KAFKA.INVALID_REQUEST);
    assert.equal(await alter('s', [['interval.ms', SET, '3600001']]), KAFKA.INVALID_REQUEST);
    assert.equal(await alter('s', [['nonsense', SET, '1']]), KAFKA.INVALID_REQUEST);
    assert.equal(await alter('s', [['match', SET, 'client=x']]), KAFKA.INVALID_CONFIG);
    assert.equal(await alter('s', [['match', SET, 'client_id=(']]), KAFKA.INVALID_CONFIG);
    assert.equal(await alter('s', [['match', SET, 'client_id']]), KAFKA.INVALID_CONFIG);
    assert.equal(await alter('', [['metrics', SET, 'a.']]), KAFKA.INVALID_REQUEST);
    const shown = async (client: Client) => {
      const resources = [
        { resourceType: CLIENT_METRICS, resourceName: 's', configurationKeys: null },
      ];
      const asked = { resources, includeSynonyms: true };
      const { results } = await client.ask(describeConfigs, 4, asked);
      const [{ errorCode, configs }] = results as [(typeof results)[number]];
      return [
        errorCode,
        configs.map(({ name, value, configSource }) => [name, value, configSource]),
      ];
    };
    assert.deepEqual(await shown(admin), [
      KAFKA.NONE,
      [
        ['metrics', 'a.,b.', 7],
        ['interval.ms', '300000', 5],
        ['match', '', 5],
      ],
    ]);
    assert.deepEqual(await shown(new Client(room)), [KAFKA.CLUSTER_AUTHORIZATION_FAILED, []]);
    const names = async (client: Client) =>
      (await client.ask(listConfigResources, 0, {})).configResources.map((one) => one.resourceName);
    assert.deepEqual(await names(admin), ['s']);
    assert.deepEqual(await names(new Client(room)), []);
    // Another life of the room finds them again.
    const later = openRoom(host);
    assert.deepEqual([...later.clientMetrics.names()], ['s']);
    const closing = later.close();
    timers.pass(10_000);
    await closing;
    assert.equal(await alter('s', [['metrics', DELETE, null]]), KAFKA.NONE);
    assert.deepEqual(await names(admin), []);
  });
});
