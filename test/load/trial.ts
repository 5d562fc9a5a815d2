/**
 * One trial: a server on a fresh folder, the whole fleet of loads, and blow after blow: load,
 * strike at the chosen moment, start again on what is left, check everything.
 */
import type { Server } from '../clients/server.ts';
import type { Findings } from './findings.ts';
import { Fleet } from './fleet.ts';
import type { LoadSettings, ProtocolName } from './load.ts';
import { awaitMoment, chooseMoment, type Moment, type Phase } from './moments.ts';
import type { Seed } from './seed.ts';
import { type Upkeep, UpkeepWatch } from './upkeep.ts';

/** What kills the server, and what is left of its folder then. */
export interface Striker {
  /** A server that is ready on a fresh folder. */
  open(flags: readonly string[]): Promise<Server>;
  /** Ends the process without a warning. Afterwards the folder is what a next start will find. */
  strike(server: Server): Promise<void>;
  /** @param keep leaves the folder behind, as evidence */
  close(server: Server, keep: boolean): Promise<void>;
}

export interface TrialSettings extends Pick<LoadSettings, 'sizes' | 'pace' | 'large'> {
  readonly title: string;
  /** Flags of `robust-server start`. */
  readonly flags: readonly string[];
}

export interface Blow {
  readonly phase: Phase;
  /** From the start of the process to its `ready`. */
  readonly restartMs: number;
  readonly acknowledged: Readonly<Record<ProtocolName, number>>;
}

/** Everything is read again from its beginning this often, otherwise only what is new. */
const WHOLE_EVERY = 10;
/** Said by a server that finds damage; neither a kill nor a lost write may look like it. */
const DAMAGE = /\bdamag|checksum|corrupt/i;

export interface TrialOptions {
  readonly settings: TrialSettings;
  /** Flags of an object store, or none. */
  readonly bucket: readonly string[];
  /** What the server does behind its clients is added to this. */
  readonly upkeep: Upkeep;
  /** How many times it strikes, unless a promise is broken before. */
  readonly blows: number;
  readonly seed: Seed;
  readonly findings: Findings;
  /** How long the clients may need until nothing is in doubt any more. */
  readonly patienceMs: number;
  /** Called after each blow. */
  readonly told: (blow: Blow) => void;
}

export async function runTrial(striker: Striker, options: TrialOptions): Promise<void> {
  const { settings, bucket, blows, seed, findings, patienceMs, told } = options;
  const { flags, ...load } = settings;
  const remote = bucket.length > 0;
  const fleet = new Fleet({ seed: seed.between(1, 1_000_000), ...load, remote }, patienceMs);
  const server = await striker.open([...flags, ...bucket]);
  const watch = new UpkeepWatch(options.upkeep);
  const before = findings.total;
  try {
    await fleet.prepare(server);
    for (let blow = 1; blow <= blows && findings.total === before; blow++) {
      findings.cycle++;
      const last = blow === blows;
      told(
        await deal(
          striker,
          server,
          fleet,
          watch,
          chooseMoment(seed),
          last || blow % WHOLE_EVERY === 0,
          findings,
        ),
      );
    }
    if (findings.total === before) await fleet.finish(server, findings);
  } catch (error) {
    findings.add('stuck', 'server', `${String(error)}\n${server.output.slice(-10).join('\n')}`);
  } finally {
    watch.end();
    // Clients say goodbye to a server that is there.
    await fleet.close().catch((error) => findings.add('stuck', 'clients', String(error)));
    await server.kill();
    await striker.close(server, findings.total > before);
  }
}

async function deal(
  striker: Striker,
  server: Server,
  fleet: Fleet,
  watch: UpkeepWatch,
  moment: Moment,
  whole: boolean,
  findings: Findings,
): Promise<Blow> {
  const said = server.output.length;
  watch.begin(server);
  await fleet.begin(server);
  const phase = await awaitMoment(server.dataDir, moment);
  if (phase === 'stopping') void server.stop().catch(() => {});
  const brokenAtMs = performance.now();
  await striker.strike(server);
  watch.end();
  fleet.cease();
  if (phase === 'starting') {
    // This start is not meant to get to its end.
    const starting = server.start().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, moment.startMs));
    await striker.strike(server);
    await starting;
  }
  const startedAt = performance.now();
  await server.start();
  const restartMs = performance.now() - startedAt;
  watch.begin(server);
  await fleet.verify(server, brokenAtMs, whole, findings);
  watch.end();
  for (const line of server.output.slice(said)) {
    if (DAMAGE.test(line)) findings.add('damage', 'server', line);
  }
  return { phase, restartMs, acknowledged: fleet.acknowledged() };
}
