/** The AMQP room for the tests of one file: a real broker, on time that a test lets pass. */
import { after, before } from 'node:test';
import { defaults } from '#kit';
import { ManualTimers, openTestHost, type TestHost } from '../../../test/contract/test-host.ts';
import type { TableEntry } from './field-table.ts';
import { options } from './options.ts';
import { AmqpServer } from './server.ts';

export class TimedRoom {
  readonly time = new ManualTimers();
  host!: TestHost;
  server!: AmqpServer;

  async open(): Promise<void> {
    const { time } = this;
    this.host = await openTestHost({ clock: time.clock, timers: time, brokerTimers: time });
    this.server = new AmqpServer(this.host, defaults(options));
  }

  /** The room anew over the same broker. */
  async restart(): Promise<void> {
    await this.server.close();
    this.server = new AmqpServer(this.host, defaults(options));
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.host.close();
  }
}

/** Opens a room before the tests of the file and closes it after them. */
export function timedRoom(): TimedRoom {
  const room = new TimedRoom();
  before(() => room.open());
  after(() => room.close());
  return room;
}

export function integerEntry(name: string, value: number): TableEntry {
  return { name, type: 'I', value };
}
