/** A started server: what it listens on, and how it stops. */
import type { Broker } from '#broker';
import type { Instance } from '#contract';
import type { Log, Metrics, Timers } from '#kit';
import type { Network, OpenListener, TlsKeyRing } from '#net';
import type { AuthFiles, AuthFilesReport } from './auth-files.ts';
import type { Closing } from './closing.ts';

export interface RunningServer {
  readonly broker: Broker;
  readonly metrics: Metrics;
  readonly serverId: string;
  /** Every open listener with its addresses, ports resolved. */
  readonly listeners: readonly OpenListener[];
  /** The port of a listener such as `mqtt` or `admin`. */
  port(listener: string): number;
  /** Loads the TLS files again. @returns how many were new @throws BrokerError when one is bad */
  reloadTls(): Promise<number>;
  /** Reads users and rules of files again. @throws BrokerError when one is bad; all stays then */
  reloadAuth(): Promise<AuthFilesReport>;
  /** Takes leave of the clients, commits, closes. False when something could not be closed well. */
  close(): Promise<boolean>;
}

export interface StopParts {
  readonly listeners: Network;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly timers: Timers;
  readonly log: Log;
  readonly timeoutMs: number;
}

/** Lets every protocol say goodbye in its own way, within bounded time, then cuts who is left. */
export async function leaveClients(parts: StopParts): Promise<void> {
  const { listeners, instances, timers, log, timeoutMs } = parts;
  listeners.stopAccepting();
  const goodbyes = [...instances].map(async ([name, instance]) => {
    try {
      await instance.close();
    } catch (error) {
      log.error('a protocol could not close its connections', {
        protocol: name,
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  });
  const { promise: timeout, resolve } = Promise.withResolvers<'timeout'>();
  const timer = timers.after(timeoutMs, () => resolve('timeout'));
  const outcome = await Promise.race([Promise.all(goodbyes), timeout]);
  timer.cancel();
  if (outcome === 'timeout') log.warn('clients did not leave in time and are cut', { timeoutMs });
}

export interface RunningParts {
  readonly broker: Broker;
  readonly metrics: Metrics;
  readonly serverId: string;
  readonly listeners: Network;
  readonly keyRing: TlsKeyRing;
  readonly authFiles: AuthFiles;
}

export function runningServer(parts: RunningParts, closing: Closing): RunningServer {
  const { broker, metrics, serverId } = parts;
  const listeners = parts.listeners.list();
  let closed: Promise<boolean> | null = null;
  return {
    broker,
    metrics,
    serverId,
    listeners,
    port(name) {
      const found = listeners.find((listener) => listener.name === name);
      if (found === undefined) throw new Error(`the listener ${name} is not open`);
      return found.addresses[0]!.port;
    },
    reloadTls: () => parts.keyRing.reload(),
    reloadAuth: () => parts.authFiles.load(),
    close() {
      closed ??= closing.run();
      return closed;
    },
  };
}
