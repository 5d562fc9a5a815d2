/**
 * What strangers, broken clients and attackers send: the server answers in its protocol or closes,
 * stays up, keeps its memory, and clients of all protocols beside it notice nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { size } from '../clients/tier.ts';
import { RawConnection, seededBytes } from './attack.ts';
import { besieged } from './besieged.ts';
import { MQTT_CONNECT, OPENINGS, OVERSIZED } from './openings.ts';

const LISTENERS = { MQTT: 'mqtt', Kafka: 'kafka', NATS: 'nats', AMQP: 'amqp' } as const;
/** Above the time limits for a first packet (10 s) with room for a busy machine. */
const CLOSE_TIMEOUT_MS = 25_000;
const HALF_OPEN_COUNT = size(1000, 10_000);
const GROWTH_BYTES_MAX = 128 * 1024 * 1024;

describe('bad input', () => {
  const side = besieged();

  for (const [protocol, listener] of Object.entries(LISTENERS)) {
    for (const [stranger, bytes] of Object.entries(OPENINGS)) {
      if (stranger === protocol) continue;
      it(`${stranger} on the ${protocol} port is closed and logged R39`, async () => {
        const logged = side.server.output.length;
        const connection = await RawConnection.open(side.server.ports[listener]);
        connection.socket.write(bytes);
        await connection.expectClosed(CLOSE_TIMEOUT_MS, `${stranger} on ${protocol}`);
        await side.witness.roundTrips();
        assert.ok(side.server.output.length > logged, 'no line in the log');
      });
    }
  }

  it('MQTT gets no answer to a wrong first packet, NATS and AMQP say what is wrong M20 N12 A1', async () => {
    const answer = async (listener: 'mqtt' | 'nats' | 'amqp') => {
      const connection = await RawConnection.open(side.server.ports[listener]);
      connection.socket.write(OPENINGS['HTTP'] ?? '');
      await connection.expectClosed(CLOSE_TIMEOUT_MS, listener);
      return connection.received.toString('latin1');
    };
    assert.equal(await answer('mqtt'), '');
    assert.match(await answer('nats'), /-ERR 'Unknown Protocol Operation'/);
    assert.equal(await answer('amqp'), 'AMQP\x00\x00\x09\x01');
  });

  // After the tests that look into the log: it limits lines of one kind.
  for (const [protocol, listener] of Object.entries(LISTENERS)) {
    it(`random bytes on the ${protocol} port end in a close R39`, async () => {
      const before_ = await side.server.residentBytes();
      const attacks = Array.from({ length: 40 }, async (_, seed) => {
        const connection = await RawConnection.open(side.server.ports[listener]);
        connection.socket.write(seededBytes(seed + 1, 16_384));
        // Some beginnings look like a frame that is not whole yet: the client gives up then.
        connection.socket.end();
        await connection.expectClosed(CLOSE_TIMEOUT_MS, `seed ${seed + 1}`);
      });
      await Promise.all(attacks);
      const growth = (await side.server.residentBytes()) - before_;
      assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
    });
  }

  for (const { listener, what, bytes } of OVERSIZED) {
    it(`${what} is refused before its body is taken`, async () => {
      const before_ = await side.server.residentBytes();
      const connection = await RawConnection.open(side.server.ports[listener]);
      connection.socket.write(bytes);
      await connection.expectClosed(CLOSE_TIMEOUT_MS, what);
      const growth = (await side.server.residentBytes()) - before_;
      assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
    });
  }

  it(`${HALF_OPEN_COUNT} connections that say nothing cost little and are closed in time R39`, async () => {
    const before_ = await side.server.residentBytes();
    const ports = Object.values(LISTENERS).map((listener) => side.server.ports[listener]);
    const open: RawConnection[] = [];
    for (let first = 0; first < HALF_OPEN_COUNT; first += 100) {
      const batch = Array.from({ length: 100 }, (_, n) =>
        RawConnection.open(ports[n % ports.length] ?? 0),
      );
      open.push(...(await Promise.all(batch)));
    }
    await side.witness.roundTrips();
    const growth = (await side.server.residentBytes()) - before_;
    assert.ok(growth / HALF_OPEN_COUNT < 32_768, `${growth / HALF_OPEN_COUNT} bytes each`);
    await Promise.all(open.map((each) => each.expectClosed(60_000, 'a silent connection')));
  });

  it('a CONNECT that comes byte by byte is accepted M7', async () => {
    const connection = await RawConnection.open(side.server.ports.mqtt);
    const answered = new Promise((resolve) => connection.socket.once('data', resolve));
    for (const byte of MQTT_CONNECT) connection.socket.write(Buffer.from([byte]));
    await answered;
    assert.deepEqual([...connection.received], [0x20, 0x02, 0x00, 0x00]);
    connection.destroy();
  });

  it('clients that send a byte now and then do not stay for ever R39 M22', async () => {
    // A NATS client that needs no credentials may take its time, as with nats-side.server.
    const drips = { mqtt: MQTT_CONNECT, amqp: OPENINGS['AMQP'] } as const;
    const attacks = Object.entries(drips).flatMap(([listener, bytes]) =>
      Array.from({ length: 30 }, async () => {
        const port = side.server.ports[listener as keyof typeof drips];
        const connection = await RawConnection.open(port);
        let at = 0;
        // The slowness is the attack: a whole opening would take half a minute and more.
        const drip = setInterval(() => {
          if (at < (bytes?.length ?? 0) - 1) connection.socket.write((bytes ?? '').slice(at, ++at));
        }, 2000);
        await connection.expectClosed(60_000, `dripping on ${listener}`);
        clearInterval(drip);
      }),
    );
    await Promise.all(attacks);
  });
});
