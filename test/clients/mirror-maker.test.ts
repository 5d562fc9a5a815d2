/**
 * MirrorMaker 2 from one broker to another: what it copies of topics, records, groups and rights,
 * while it and the brokers are killed.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { type Configs, properties } from './connect-worker.ts';
import { Jvm } from './jvm.ts';
import { KafkaRecords, type Seen } from './kafka-records.ts';
import type { Program } from './program.ts';
import { ADMIN, HOST, type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaPrograms, ready } from './toolchains/index.ts';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
const PATIENCE_MS = 120_000;
const ASK_AGAIN_MS = 250;
const HEAP_MB = 384;
const PARTITIONS = 3;
const RECORDS = 300;
const BEGIN = Date.now() - 86_400_000;
const TOPIC = 'mirror.orders';
const MIRROR = `a.${TOPIC}`;
const RETENTION_MS = '259200000';

const EVERY_SECOND = [
  'refresh.topics',
  'refresh.groups',
  'sync.topic.configs',
  'sync.topic.acls',
  'sync.group.offsets',
  'emit.checkpoints',
  'emit.heartbeats',
];
const ONE_COPY = ['', 'checkpoints.topic.', 'heartbeats.topic.', 'offset-syncs.topic.'];
const STORED = ['offset.storage.', 'status.storage.', 'config.storage.'];
const LOG_IN =
  'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
  `username="${ADMIN.user}" password="${ADMIN.password}";`;

function mirrorConfigs(from: Server, to: Server): Configs {
  const clusters = Object.entries({ a: from, b: to }).flatMap(([name, server]) => [
    [`${name}.bootstrap.servers`, server.address('kafka')],
    [`${name}.security.protocol`, 'SASL_PLAINTEXT'],
    [`${name}.sasl.mechanism`, 'PLAIN'],
    [`${name}.sasl.jaas.config`, LOG_IN],
  ]);
  const prefixes = [...ONE_COPY, ...STORED];
  return {
    clusters: 'a, b',
    ...Object.fromEntries(clusters),
    ...Object.fromEntries(prefixes.map((prefix) => [`${prefix}replication.factor`, '1'])),
    ...Object.fromEntries(EVERY_SECOND.map((what) => [`${what}.interval.seconds`, '1'])),
    'a->b.enabled': 'true',
    'a->b.topics': 'mirror\\\\..*',
    'a->b.groups': 'mirror-.*',
    'b->a.enabled': 'false',
    'b->a.emit.heartbeats.enabled': 'false',
    'sync.group.offsets.enabled': 'true',
    // Each record's place is told, not each hundredth: then the end of a partition is exact.
    'offset.lag.max': '0',
    'offset.flush.interval.ms': '500',
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '500',
    'scheduled.rebalance.max.delay.ms': '1000',
    'plugin.discovery': 'service_load',
  };
}

/** What of a record is to be the same on both sides. */
const shown = ({ partition, key, value, timestamp, headers }: Seen): string =>
  JSON.stringify([partition, key, value, timestamp, String(headers['source'])]);
const all = (seen: readonly Seen[]): string[] => seen.map(shown).sort();
const distinct = (seen: readonly Seen[]): string[] => [...new Set(seen.map(shown))].sort();

function orders(from: number, to: number) {
  return Array.from({ length: to - from }, (_, n) => ({
    key: `k${from + n}`,
    value: `order ${from + n}`,
    timestamp: `${BEGIN + from + n}`,
    headers: { source: `header ${from + n}` },
  }));
}

/** Asks until the answer is good: MirrorMaker says nothing when it has copied a group or a rule. */
async function eventually<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  const lateAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    if (performance.now() > lateAt) throw new Error(`it stays at ${JSON.stringify(answer)}`);
    await pause(ASK_AGAIN_MS);
  }
}

if (FULL) {
  const { folder, missing } = await ready(kafkaPrograms);

  describe('MirrorMaker 2', { skip: missing ?? false }, () => {
    let jvm: Jvm;
    let from: Server;
    let to: Server;
    let a: KafkaRecords;
    let b: KafkaRecords;
    let mirror: Program;

    before(async () => {
      jvm = await Jvm.open(folder ?? '');
      [from, to] = await Promise.all([startServer(), startServer()]);
      a = new KafkaRecords(from.address('kafka'), ADMIN);
      b = new KafkaRecords(to.address('kafka'), ADMIN);
      await a.create(PARTITIONS, [TOPIC], { 'retention.ms': RETENTION_MS });
      await a.create(1, ['mirror.table'], { 'cleanup.policy': 'compact' });
      await a.send(TOPIC, orders(0, RECORDS));
      await a.send('mirror.table', orders(0, 1));
    });
    after(async () => {
      await jvm[Symbol.asyncDispose]();
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    });

    async function start(more: Configs = {}): Promise<Program> {
      const file = path.join(jvm.folder, 'mirror.properties');
      await writeFile(file, properties({ ...mirrorConfigs(from, to), ...more }));
      const main = 'org.apache.kafka.connect.mirror.MirrorMaker';
      return jvm.start({ main, args: [file], heapMb: HEAP_MB });
    }

    /** What the mirror has when it has all of the source, which is told too. */
    async function copied(
      topic: string,
      count: number,
      name = `a.${topic}`,
    ): Promise<[Seen[], Seen[]]> {
      const original = await a.read(topic, (seen) => seen.length >= count, PATIENCE_MS);
      const whole = (seen: readonly Seen[]): boolean => distinct(seen).length >= count;
      // A reader that comes first would make the topic itself, with another count of partitions.
      await eventually(
        () => b.admin((admin) => admin.listTopics()),
        (topics) => topics.includes(name),
      );
      const copy = await jvm.watch(b.read(name, whole, PATIENCE_MS));
      return [[...original], [...copy]];
    }

    const committed = (kafka: KafkaRecords, groupId: string, topic: string): Promise<number[]> =>
      kafka.admin(async (admin) => {
        const [only] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const partitions = only?.partitions ?? [];
        partitions.sort((one, other) => one.partition - other.partition);
        return partitions.map(({ offset }) => Number(offset));
      });

    async function commit(groupId: string, offsets: readonly number[]): Promise<void> {
      const partitions = offsets.map((offset, partition) => ({ partition, offset: `${offset}` }));
      await a.admin((admin) => admin.setOffsets({ groupId, topic: TOPIC, partitions }));
    }

    const ends = (kafka: KafkaRecords, topic: string): Promise<number[]> =>
      kafka.admin(async (admin) => {
        const offsets = await admin.fetchTopicOffsets(topic);
        offsets.sort((one, other) => one.partition - other.partition);
        return offsets.map(({ high }) => Number(high));
      });

    it('copies records with keys, headers and times into the same partitions K24 K86 K210', async () => {
      mirror = await start();
      const [original, copy] = await copied(TOPIC, RECORDS);
      assert.deepEqual(all(copy), all(original));
    });

    it('copies the configs of topics, new partitions and new topics K42 K86 K137', async () => {
      assert.equal((await b.configs('a.mirror.table'))['cleanup.policy'], 'compact');
      assert.equal((await b.configs(MIRROR))['retention.ms'], RETENTION_MS);
      const grown = { topic: TOPIC, count: PARTITIONS + 1 };
      await a.admin((admin) => admin.createPartitions({ topicPartitions: [grown] }));
      await a.create(1, ['mirror.later']);
      await a.send('mirror.later', orders(0, 10));
      const [original, copy] = await copied('mirror.later', 10);
      assert.deepEqual(all(copy), all(original));
      await eventually(
        () => ends(b, MIRROR),
        (offsets) => offsets.length === PARTITIONS + 1,
      );
    });

    it('copies where groups are K63 K86 K108', async () => {
      const end = await ends(a, TOPIC);
      await commit('mirror-done', end);
      const places = await eventually(
        () => committed(b, 'mirror-done', MIRROR),
        (offsets) => offsets.slice(0, PARTITIONS).every((at, n) => at === end[n]),
      );
      assert.ok(places.length >= PARTITIONS, JSON.stringify(places));
    });

    it('copies who may read a topic, and not who may write K76 K86 K129 K130', async () => {
      const rule = {
        resourceType: AclResourceTypes.TOPIC,
        resourceName: TOPIC,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        host: '*',
        permissionType: AclPermissionTypes.ALLOW,
      };
      const may = (principal: string, operation: number) => {
        return { ...rule, principal, operation };
      };
      const rules = [
        may('User:reader', AclOperationTypes.READ),
        may('User:writer', AclOperationTypes.WRITE),
      ];
      await a.admin((admin) => admin.createAcls({ acl: rules }));
      const wanted = {
        resourceType: AclResourceTypes.TOPIC,
        resourceName: MIRROR,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        operation: AclOperationTypes.ANY,
        permissionType: AclPermissionTypes.ANY,
      };
      const ask = (admin: Admin) => admin.describeAcls(wanted as never);
      const { resources } = await eventually(
        () => b.admin(ask),
        (answer) => answer.resources.length > 0,
      );
      assert.deepEqual(
        resources.flatMap(({ acls }) => acls.map(({ principal }) => principal)),
        ['User:reader'],
      );
    });

    it('tells that it lives K86', async () => {
      await jvm.watch(b.read('heartbeats', (seen) => seen.length > 1, PATIENCE_MS));
    });

    it('goes on after a clean stop without repeating, and after kills without losing K72 K86', async () => {
      await mirror.kill('SIGTERM');
      await a.send(TOPIC, orders(RECORDS, 2 * RECORDS));
      mirror = await start();
      const [original, copy] = await copied(TOPIC, 2 * RECORDS);
      assert.deepEqual(all(copy), all(original));
      await mirror.kill();
      await a.send(TOPIC, orders(2 * RECORDS, 3 * RECORDS));
      mirror = await start();
      await copied(TOPIC, 3 * RECORDS);
      await Promise.all([from.kill(), to.kill()]);
      await Promise.all([from.start(), to.start()]);
      await a.send(TOPIC, orders(3 * RECORDS, 4 * RECORDS));
      const [whole, last] = await copied(TOPIC, 4 * RECORDS);
      assert.deepEqual(distinct(last), distinct(whole));
      await mirror.kill('SIGTERM');
    });

    it('copies each record once with exactly-once sources, also over a kill K69 K71 K86', async () => {
      const exact = {
        'a->b.topics': 'exact',
        'b.exactly.once.source.support': 'enabled',
        'dedicated.mode.enable.internal.rest': 'true',
        listeners: `http://${HOST}:0`,
      };
      await a.create(PARTITIONS, ['exact']);
      await a.send('exact', orders(0, RECORDS));
      mirror = await start(exact);
      await copied('exact', RECORDS);
      await a.send('exact', orders(RECORDS, 10 * RECORDS));
      await mirror.kill();
      mirror = await start(exact);
      const [original] = await copied('exact', 10 * RECORDS);
      await mirror.kill('SIGTERM');
      assert.deepEqual(all(await b.all('a.exact', PATIENCE_MS)), all(original));
    });

    it('leaves topics their names with the identity policy K86', async () => {
      await a.create(PARTITIONS, ['kept']);
      await a.send('kept', orders(0, RECORDS));
      mirror = await start({
        'a->b.topics': 'kept',
        'replication.policy.class': 'org.apache.kafka.connect.mirror.IdentityReplicationPolicy',
      });
      const [original, copy] = await copied('kept', RECORDS, 'kept');
      assert.deepEqual(all(copy), all(original));
      await mirror.kill('SIGTERM');
    });
  });
}
