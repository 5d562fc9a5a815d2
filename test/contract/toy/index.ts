/**
 * toy: a whole protocol in about forty lines, to prove that a new one needs its folder and one line
 * in the list, and nothing else. `SUB name` and `PUB name text`, one command per line.
 */
import { flatAddress, Message, originOf, type Subscription, slashPattern } from '#broker';
import type { Connection, ConnectionHandler, Host, Protocol } from '#contract';
import { expectBrokerError, type OptionRows } from '#kit';

const OPTIONS = {
  listen: { type: 'list', default: ['localhost:7777'], help: 'Addresses of the toy protocol.' },
  'line-max': { type: 'bytes', default: 1024, min: 16, help: 'Longest line.' },
} as const satisfies OptionRows;

export const toy: Protocol<typeof OPTIONS> = {
  name: 'toy',
  options: OPTIONS,
  listeners: ({ listen }) => [{ name: 'toy', transport: 'tcp', listen }],
  resources: [{ noun: 'connections', columns: ['id', 'peer'] }],
  open(host, { lineMax }) {
    const open = new Map<Connection, PromiseWithResolvers<void>>();
    return {
      accept(connection) {
        open.set(connection, Promise.withResolvers());
        const gone = (): void => {
          open.get(connection)!.resolve();
          open.delete(connection);
        };
        connection.handle(new ToyHandler(host, connection, lineMax, gone));
      },
      list: () => [...open.keys()].map(({ id, peer }) => ({ id, peer: peer.address })),
      async close() {
        for (const connection of open.keys()) connection.end();
        await Promise.all([...open.values()].map(({ promise }) => promise));
      },
    };
  },
};

class ToyHandler implements ConnectionHandler {
  readonly #subscriptions: Subscription[] = [];
  readonly #host: Host;
  readonly #connection: Connection;
  readonly #lineMax: number;
  readonly closed: () => void;
  #rest = '';

  constructor(host: Host, connection: Connection, lineMax: number, gone: () => void) {
    this.#host = host;
    this.#connection = connection;
    this.#lineMax = lineMax;
    this.closed = () => {
      for (const subscription of this.#subscriptions) subscription.end();
      gone();
    };
  }

  data(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop()!;
    try {
      for (const line of lines) this.#obey(line);
      if (this.#rest.length > this.#lineMax) this.#connection.destroy('line too long');
      else if (/[^ -~]/.test(this.#rest)) this.#connection.destroy('not a text');
    } catch (error) {
      this.#connection.destroy(expectBrokerError(error).message);
    }
  }

  drain(): void {}

  #obey(line: string): void {
    const { broker } = this.#host;
    const [, verb, name = '', text] = /^(SUB|PUB) (\S+)(?: (.*))?$/.exec(line) ?? [];
    const pattern = slashPattern(name);
    if (verb === 'SUB' && pattern !== null) {
      const receive = ({ value }: Message): void => this.#say(`MSG ${name} ${value}`);
      this.#subscriptions.push(broker.subscribe({ pattern, subscriber: { receive } }));
      this.#say('OK');
    } else if (verb === 'PUB' && text !== undefined) {
      const message = new Message(flatAddress(name), Buffer.from(text), originOf('toy'));
      message.principal = broker.anonymous(this.#connection.peer);
      const sink = {
        published: (_: number, error: Error | null) => this.#say(error?.message ?? 'OK'),
      };
      broker.publish(message, broker.target(message.address, 'first-level'), sink, 0);
    } else this.#connection.destroy(`no such command: ${line}`);
  }

  #say(line: string): void {
    this.#connection.write(Buffer.from(`${line}\n`));
  }
}
