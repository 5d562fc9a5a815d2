/**
 * What asks a server to stop: the first signal politely, the second at once. Behind a launcher the
 * signals come as messages with their count, since a terminal sends them to both processes; when
 * the launcher is killed, this process ends too, without ceremony, so that a restart finds its
 * ports.
 */

export interface StopSignals {
  /** Resolves with the name of the first signal. */
  readonly first: Promise<string>;
}

const EXIT_KILLED = 137;
const EXIT_INTERRUPTED = 130;

/** @param onHangUp SIGHUP without a terminal: what a service manager sends for a reload */
export function stopSignals(onHangUp: () => void = () => {}): StopSignals {
  const { promise, resolve } = Promise.withResolvers<string>();
  let own = 0;
  let passedOn = 0;
  const asked = (name: string): void => {
    const times = Math.max(own, passedOn);
    if (times === 1) resolve(name);
    else if (times > 1) process.exit(EXIT_INTERRUPTED);
  };
  const onSignal = (name: NodeJS.Signals): void => {
    own++;
    asked(name);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', (name) => {
    // With a terminal this means that it was closed; without one (a service) a reload is asked for.
    if (process.stdout.isTTY) onSignal(name);
    else onHangUp();
  });
  if (process.channel !== undefined) {
    process.on('message', (message: { signal?: string; signals?: number }) => {
      passedOn = message.signals ?? passedOn;
      asked(message.signal ?? 'message');
    });
    process.on('disconnect', () => process.exit(EXIT_KILLED));
  }
  return { first: promise };
}
