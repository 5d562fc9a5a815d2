/**
 * What every protocol must keep, whatever it speaks: no bytes make it throw, strangers are shown
 * out, and it closes when told to. Runs over memory connections with a real broker.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Instance, Protocol } from '#contract';
import { defaults, type Log } from '#kit';
import { connectMemory, type MemoryClient } from './memory-connection.ts';
import { openTestHost } from './test-host.ts';

export interface ProtocolCase {
  readonly protocol: Protocol;
  /** What a well-behaved client sends first. */
  readonly opening: Buffer;
  /** Openings of other protocols, by name; each must be shown out. */
  readonly strangers: Readonly<Record<string, Buffer>>;
  /** Owners of the slots under the broker. */
  readonly owners: number;
}

const DEADLINE_MS = 5_000;
const GARBAGE_CONNECTIONS = 300;
const GARBAGE_BYTES_MAX = 2_000;

/** Registers the tests of one protocol. */
export function protocolContract({ protocol, opening, strangers, owners }: ProtocolCase): void {
  const name = owners === 1 ? protocol.name : `${protocol.name} over ${owners} owners`;
  const options = { timeout: DEADLINE_MS };

  test(`${name} answers its opening, and the same byte by byte`, options, async (t) => {
    const { instance } = await open(t, protocol, owners);
    const listener = listenerOf(protocol);
    const whole = connectMemory(instance, { listener });
    whole.send(opening);
    await whole.read(1);
    assert.equal(whole.isClosed, false);
    whole.close();
    await whole.closed;
    const slow = connectMemory(instance, { listener });
    slow.sendByteByByte(opening);
    await slow.read(1);
    assert.equal(slow.isClosed, false);
  });

  for (const [stranger, bytes] of Object.entries(strangers)) {
    test(
      `${name} shows out a client that speaks ${stranger}, and says so O31`,
      options,
      async (t) => {
        const { instance, lines } = await open(t, protocol, owners);
        const client = connectMemory(instance, { listener: listenerOf(protocol) });
        client.send(bytes);
        await client.closed;
        // The listener logs the reason of a destroy; without one, the protocol itself must.
        assert.ok(
          lines.length > 0 || client.connection.destroyReason !== null,
          'a line in the log',
        );
      },
    );
  }

  test(`${name} survives random bytes, alone and after its opening`, options, async (t) => {
    const { instance } = await open(t, protocol, owners);
    const random = seeded(7);
    for (let round = 0; round < GARBAGE_CONNECTIONS; round++) {
      const client = connectMemory(instance, { listener: listenerOf(protocol) });
      if (round % 2 === 1) client.send(opening);
      client.send(garbage(random));
      client.send(garbage(random));
      client.close();
      await client.closed;
    }
  });

  test(`${name} survives its opening with any byte changed or cut off`, options, async (t) => {
    const { instance } = await open(t, protocol, owners);
    const random = seeded(11);
    for (let at = 0; at < opening.length; at++) {
      const changed = Buffer.from(opening);
      changed[at] = Math.floor(random() * 256);
      for (const bytes of [changed, opening.subarray(0, at)]) {
        const client = connectMemory(instance, { listener: listenerOf(protocol) });
        client.send(bytes);
        client.close();
        await client.closed;
      }
    }
  });

  test(
    `${name} does not mind a client that resets in the middle of a frame`,
    options,
    async (t) => {
      const { instance } = await open(t, protocol, owners);
      const client = connectMemory(instance, { listener: listenerOf(protocol) });
      client.send(opening.subarray(0, opening.length >> 1));
      client.close(new Error('read ECONNRESET'));
      await client.closed;
    },
  );

  test(`${name} goes on serving while a thousand clients stay silent`, options, async (t) => {
    const { instance } = await open(t, protocol, owners);
    const silent: MemoryClient[] = [];
    for (let count = 0; count < 1000; count++) {
      silent.push(connectMemory(instance, { listener: listenerOf(protocol) }));
    }
    const client = connectMemory(instance, { listener: listenerOf(protocol) });
    client.send(opening);
    await client.read(1);
    for (const one of silent) one.close();
    await Promise.all(silent.map((one) => one.closed));
  });

  test(
    `${name} takes leave of silent, opened and slow clients when it closes O23`,
    options,
    async (t) => {
      const { instance } = await open(t, protocol, owners);
      const clients = ['silent', 'opened', 'half'].map(() =>
        connectMemory(instance, { listener: listenerOf(protocol) }),
      );
      clients[1]!.send(opening);
      clients[2]!.send(opening.subarray(0, 3));
      // As the server does: who does not leave in time is cut.
      const cut = setTimeout(() => {
        for (const client of clients) client.close();
      }, 2_000);
      await instance.close();
      clearTimeout(cut);
      await Promise.all(clients.map((client) => client.closed));
    },
  );

  test(
    `${name} lists every noun that it names, with the columns that it names`,
    options,
    async (t) => {
      const { instance } = await open(t, protocol, owners);
      const client = connectMemory(instance, { listener: listenerOf(protocol) });
      client.send(opening);
      await client.read(1);
      for (const { noun, columns } of protocol.resources ?? []) {
        assert.ok(instance.list !== undefined, 'an instance with nouns has list');
        for (const row of instance.list(noun)) {
          assert.deepEqual(Object.keys(row).sort(), [...columns].sort(), `columns of ${noun}`);
        }
      }
    },
  );
}

async function open(
  t: TestContext,
  protocol: Protocol,
  owners: number,
): Promise<{ instance: Instance; lines: string[] }> {
  const lines: string[] = [];
  const write = (message: string): number => lines.push(message);
  const log: Log = { debug: write, info: write, warn: write, error: write, with: () => log };
  const host = await openTestHost({ log, owners });
  const instance = protocol.open(host, defaults(protocol.options));
  t.after(async () => {
    await instance.close();
    await host.close();
  });
  return { instance, lines };
}

function listenerOf(protocol: Protocol): string {
  const plans = protocol.listeners(defaults(protocol.options));
  return plans.find((plan) => plan.transport === 'tcp')!.name;
}

function garbage(random: () => number): Buffer {
  const bytes = Buffer.alloc(1 + Math.floor(random() * GARBAGE_BYTES_MAX));
  for (let at = 0; at < bytes.length; at++) bytes[at] = Math.floor(random() * 256);
  return bytes;
}

/** Mulberry32: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
