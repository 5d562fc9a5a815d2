/**
 * Kafka Streams (programs/java/Streams.java) with joins and windows, by two processes that share
 * the partitions: one of them is killed in the middle, and the other one takes over exactly once.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Jvm } from './jvm.ts';
import { KafkaRecords, type Seen } from './kafka-records.ts';
import { type Program, run } from './program.ts';
import { type Server, startServer } from './server.ts';
import { FULL } from './tier.ts';
import { kafkaPrograms, kafkaToolArguments, kafkaTools, ready } from './toolchains/index.ts';

const PATIENCE_MS = 90_000;
const HEAP_MB = 256;
const PARTITIONS = 3;
const ORDERS = 3_000;
const ORDER_EVERY_MS = 10;
/** Each customer orders again only after the second in which a payment belongs to an order. */
const CUSTOMERS = 150;
const REGIONS = 4;
const METHODS = ['cash', 'card', 'debt'];
const ACCOUNTS = 40;
const WINDOW_MS = 10_000;
const PAID_AFTER_MS = 100;
const CLOSED_AFTER_MS = 600_000;
/** In the past, but for what closes the windows. */
const BEGIN = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 60_000;

const regionOf = (customer: number): string => `r${customer % REGIONS}`;
const customerOf = (order: number): number => order % CUSTOMERS;
const timeOf = (order: number): number => BEGIN + order * ORDER_EVERY_MS;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const ORDER_NUMBERS = numbers(ORDERS);
const PAID = ORDER_NUMBERS.filter((order) => order % 2 === 0);

const TABLES = {
  customers: numbers(CUSTOMERS).map((n) => message(`c${n}`, regionOf(n), BEGIN)),
  accounts: numbers(ACCOUNTS).map((n) => message(`a${n}`, `c${n * 3}`, BEGIN)),
  methods: METHODS.map((name, n) => message(`m${n}`, name, BEGIN)),
};
const ORDERED = ORDER_NUMBERS.map((n) => message(`c${customerOf(n)}`, `${n}`, timeOf(n)));
const PAYMENTS = PAID.map((n) => {
  return message(`c${customerOf(n)}`, `m${n % METHODS.length}`, timeOf(n) + PAID_AFTER_MS);
});

function message(key: string, value: string, at: number) {
  return { key, value, timestamp: `${at}` };
}

/** The sum of all orders by region and window. */
function sums(): Map<string, number> {
  const sum = new Map<string, number>();
  for (const order of ORDER_NUMBERS) {
    const start = Math.floor(timeOf(order) / WINDOW_MS) * WINDOW_MS;
    const name = `${regionOf(customerOf(order))}@${start}`;
    sum.set(name, (sum.get(name) ?? 0) + order);
  }
  return sum;
}

const sorted = (seen: readonly Seen[]): string[] =>
  seen.map(({ key, value }) => `${key}: ${value}`).sort();
const last = (seen: readonly Seen[]): Map<string | null, string | null> =>
  new Map(seen.map(({ key, value }) => [key, value]));

if (FULL) {
  const { folder, missing } = await ready(kafkaPrograms);
  const tools = await ready(kafkaTools);

  describe('joins and windows of Kafka Streams', {
    skip: missing ?? tools.missing ?? false,
  }, () => {
    let jvm: Jvm;
    let server: Server;
    let kafka: KafkaRecords;

    before(async () => {
      jvm = await Jvm.open(folder ?? '');
      await jvm.compile('Streams.java');
      server = await startServer();
      kafka = new KafkaRecords(server.address('kafka'));
      const read = [...Object.keys(TABLES), 'orders', 'payments'];
      const written = ['orders.sums', 'orders.closed', 'orders.paid', 'accounts.regions'];
      await kafka.create(PARTITIONS, [...read, ...written]);
      for (const [topic, messages] of Object.entries(TABLES)) await kafka.send(topic, messages);
    });
    after(async () => {
      await jvm[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    function streams(state: string): Program {
      const guarantee = 'processing.guarantee=exactly_once_v2';
      const args = [server.address('kafka'), 'orders', path.join(jvm.folder, state), guarantee];
      return jvm.start({ main: 'Streams', args, heapMb: HEAP_MB });
    }

    const running = (program: Program): Promise<string> =>
      program.line((line) => line === 'state RUNNING', PATIENCE_MS);

    const closed = sorted(
      [...sums()].map(([key, sum]) => ({ key, value: `${sum}` }) as unknown as Seen),
    );
    let survivor: Program;

    it('one process of two is killed, and the other one joins on exactly once K60 K69 K71 K86 K210', async () => {
      const both = [streams('one'), streams('two')];
      await Promise.all(both.map(running));
      await kafka.send('payments', PAYMENTS);
      await kafka.send('orders', ORDERED);
      const quick = await Promise.race(
        both.map(async (program) => {
          await program.line((line) => line.startsWith('processed'), PATIENCE_MS);
          return program;
        }),
      );
      await quick.kill();
      survivor = both.find((program) => program !== quick) as Program;
      const enough = (seen: readonly Seen[]): boolean => seen.length >= PAID.length;
      const paid = await jvm.watch(kafka.read('orders.paid', enough, PATIENCE_MS));
      const wanted = PAID.map((order) => {
        return `c${customerOf(order)}: ${order} by ${METHODS[order % METHODS.length]}`;
      });
      assert.deepEqual(sorted(paid), wanted.sort());
    });

    it('sums by window are right, and each window closes once K86 K210', async () => {
      const whole = sums();
      const done = (seen: readonly Seen[]): boolean => {
        const values = last(seen);
        return [...whole].every(([name, sum]) => values.get(name) === `${sum}`);
      };
      await jvm.watch(kafka.read('orders.sums', done, PATIENCE_MS));
      const closing = numbers(REGIONS).map((n) => {
        return message(`c${n}`, '0', BEGIN + CLOSED_AFTER_MS);
      });
      await kafka.send('orders', closing);
      const all = (seen: readonly Seen[]): boolean => seen.length >= closed.length;
      assert.deepEqual(
        sorted(await jvm.watch(kafka.read('orders.closed', all, PATIENCE_MS))),
        closed,
      );
    });

    it('tables join by a foreign key K86 K210', async () => {
      const wanted = numbers(ACCOUNTS).map((n) => `a${n}: c${n * 3} in ${regionOf(n * 3)}`);
      const all = (seen: readonly Seen[]): boolean => last(seen).size >= ACCOUNTS;
      const joined = last(await jvm.watch(kafka.read('accounts.regions', all, PATIENCE_MS)));
      const shown = [...joined].map(([key, value]) => `${key}: ${value}`);
      assert.deepEqual(shown.sort(), wanted.sort());
    });

    it('stops cleanly, and its windows have a changelog that is compacted and deleted K42 K86', async () => {
      await Promise.all([
        survivor.line((line) => line === 'closed true', PATIENCE_MS),
        survivor.kill('SIGTERM'),
      ]);
      const failed = survivor.lines.filter((line) => line.startsWith('exception'));
      assert.deepEqual(failed, [], survivor.lines.join('\n'));
      const changelog = await kafka.configs('orders-sums-changelog');
      const policies = (changelog['cleanup.policy'] ?? '').split(',').sort();
      assert.deepEqual(policies, ['compact', 'delete']);
      assert.ok(Number(changelog['retention.ms']) > CLOSED_AFTER_MS / 2, 'kept too short');
      assert.deepEqual(sorted(await kafka.all('orders.closed', PATIENCE_MS)), closed);
    });

    it('kafka-streams-application-reset makes it new K85 K86', async () => {
      const at = ['--bootstrap-server', server.address('kafka'), '--application-id', 'orders'];
      const from = ['--input-topics', 'orders,payments,customers,accounts', '--force'];
      const args = [...kafkaToolArguments(tools.folder ?? '', 'StreamsResetter'), ...at, ...from];
      const { text } = await run('java', args, { timeoutMs: PATIENCE_MS });
      assert.match(text, /orders-by-region-repartition/);
      const topics = await kafka.admin((admin) => admin.listTopics());
      assert.deepEqual(
        topics.filter((topic) => topic.startsWith('orders-')),
        [],
      );
      const offsets = await kafka.admin((admin) => {
        return admin.fetchOffsets({ groupId: 'orders', topics: ['orders'] });
      });
      const places = offsets[0]?.partitions.map(({ offset }) => offset);
      assert.deepEqual(places, Array(PARTITIONS).fill('0'));
    });
  });
}
