/** Flow, access, confirms and transactions. Opening and closing are the connection's work. */
import type { PublishSink } from '#broker';
import type { BrokerError } from '#kit';
import type { Channel, Transaction } from '../channel.ts';
import { AmqpError } from '../errors.ts';
import type { Handlers } from './handler.ts';

export const channelMethods: Handlers = {
  // [A20] A client that wants to stop deliveries has prefetch for it.
  'channel.flow': (channel, { active }) => {
    if (!active) throw new AmqpError(540, 'active=false');
    channel.send('channel.flow-ok', { active: true });
  },

  // [A21] Access tickets have no meaning any more.
  'access.request': (channel) => channel.send('access.request-ok', { ticket: 1 }),

  'confirm.select': (channel, { noWait }) => {
    if (channel.transaction !== null) {
      throw new AmqpError(406, 'cannot switch from tx to confirm mode');
    }
    channel.startConfirms();
    if (!noWait) channel.send('confirm.select-ok', {});
  },

  'tx.select': (channel) => {
    if (channel.confirms !== null) {
      throw new AmqpError(406, 'cannot switch from confirm to tx mode');
    }
    channel.transaction ??= newTransaction();
    channel.send('tx.select-ok', {});
  },

  'tx.commit': (channel) => {
    const transaction = take(channel);
    return commit(channel, transaction).then(() => {
      if (!channel.closing) channel.send('tx.commit-ok', {});
    });
  },

  'tx.rollback': (channel) => {
    take(channel);
    channel.send('tx.rollback-ok', {});
  },
};

function newTransaction(): Transaction {
  return { publications: [], settlements: [], bytes: 0 };
}

function take(channel: Channel): Transaction {
  const { transaction } = channel;
  if (transaction === null) throw new AmqpError(406, 'channel is not transactional');
  channel.transaction = newTransaction();
  channel.connection.assembling(-transaction.bytes);
  return transaction;
}

/**
 * Publishes everything in one turn of the event loop, so that it shares one commit of the log (a
 * transaction larger than the broker has room for takes several), and settles the acknowledgements
 * when all of it is on disk.
 */
async function commit(channel: Channel, transaction: Transaction): Promise<void> {
  const { broker } = channel.host;
  const stored = new Stored();
  // All or nothing: what has become impossible meanwhile is found before the first one goes.
  for (const publication of transaction.publications) channel.checkPublication(publication);
  for (const publication of transaction.publications) {
    if (broker.busy) await new Promise<void>((resolve) => broker.onRoom(resolve));
    stored.expect();
    channel.publishFor(publication, stored, 0);
  }
  await stored.all();
  for (const { tag, multiple, how } of transaction.settlements) {
    if (!channel.unacked.has(tag, multiple)) continue;
    for (const unacked of channel.unacked.take(tag, multiple)) channel.settle(unacked, how);
  }
}

/** Counts publications until all of them are committed. */
class Stored implements PublishSink {
  #waiting = 0;
  #failure: BrokerError | null = null;
  #done: (() => void) | null = null;

  expect(): void {
    this.#waiting++;
  }

  published(_token: number, error: BrokerError | null): void {
    this.#failure ??= error;
    if (--this.#waiting === 0) this.#done?.();
  }

  /** @throws BrokerError of the first publication that failed */
  async all(): Promise<void> {
    if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#done = resolve));
    if (this.#failure !== null) throw this.#failure;
  }
}
