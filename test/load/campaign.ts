/**
 * Many blows: trials with different settings, each on a fresh folder, until the wanted number of
 * blows is dealt. The tally of them is what the reports are written from.
 */
import { describeFinding, Findings } from './findings.ts';
import { PROTOCOLS, type ProtocolName } from './load.ts';
import { PHASES, type Phase } from './moments.ts';
import { Seed } from './seed.ts';
import { TRIAL_SETTINGS } from './settings.ts';
import { type Blow, runTrial, type Striker, type TrialSettings } from './trial.ts';
import { noUpkeep, type Upkeep } from './upkeep.ts';

/** Blows to one folder before the next settings have their turn. */
const BLOWS_PER_TRIAL = 20;
const PATIENCE_MS = 60_000;

export interface CampaignOptions {
  readonly blows: number;
  readonly seed: number;
  readonly settings?: readonly TrialSettings[];
  readonly blowsPerTrial?: number;
  readonly patienceMs?: number;
  /** An earlier part of the same campaign, which goes on. */
  readonly tally?: Tally;
  /** Flags of an object store, or none. */
  readonly bucket?: readonly string[];
  /** Called after each trial: the campaign may be cut off in the next one. */
  readonly each?: (tally: Tally) => void;
  /** One line per blow, for who watches. */
  readonly say?: (line: string) => void;
}

export interface Tally {
  readonly seed: number;
  readonly findings: Findings;
  readonly acknowledged: Record<ProtocolName, number>;
  readonly phases: Record<Phase, number>;
  readonly restartsMs: number[];
  readonly trials: { readonly title: string; blows: number }[];
  readonly upkeep: Upkeep;
  /** What the striker counts. */
  readonly strikes: Record<string, number>;
  minutes: number;
}

export async function runCampaign(striker: Striker, options: CampaignOptions): Promise<Tally> {
  const { blows, settings = TRIAL_SETTINGS, blowsPerTrial = BLOWS_PER_TRIAL } = options;
  let startedAt = performance.now();
  const tally = options.tally ?? emptyTally(options.seed);
  const { trials } = tally;
  const seed = new Seed(options.seed + trials.length);
  let [dealt, told] = [0, tally.findings.kept.length];
  while (dealt < blows) {
    const chosen = settings[trials.length % settings.length]!;
    const count = Math.min(blowsPerTrial, blows - dealt);
    const row = { title: chosen.title, blows: 0 };
    trials.push(row);
    let last: Blow | null = null;
    await runTrial(striker, {
      settings: chosen,
      blows: count,
      seed,
      findings: tally.findings,
      bucket: options.bucket ?? [],
      upkeep: tally.upkeep,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      told(blow) {
        last = blow;
        row.blows++;
        tally.phases[blow.phase]++;
        tally.restartsMs.push(blow.restartMs);
        options.say?.(describe(tally.findings, blow));
      },
    });
    for (const each of tally.findings.kept.slice(told)) options.say?.(describeFinding(each));
    told = tally.findings.kept.length;
    add(tally.acknowledged, last);
    dealt += count;
    tally.minutes += (performance.now() - startedAt) / 60_000;
    startedAt = performance.now();
    options.each?.(tally);
  }
  return tally;
}

export function emptyTally(seed: number): Tally {
  return {
    seed,
    findings: new Findings(),
    acknowledged: zeros(PROTOCOLS),
    phases: zeros(PHASES),
    restartsMs: [],
    trials: [],
    upkeep: noUpkeep(),
    strikes: {},
    minutes: 0,
  };
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

/** A blow tells what its trial has acknowledged so far, so the last one counts. */
function add(sums: Record<ProtocolName, number>, blow: Blow | null): void {
  if (blow === null) return;
  for (const protocol of PROTOCOLS) sums[protocol] += blow.acknowledged[protocol];
}

function describe(findings: Findings, { phase, restartMs, acknowledged }: Blow): string {
  const counts = PROTOCOLS.map((protocol) => `${protocol} ${acknowledged[protocol]}`).join(', ');
  const restart = `back in ${Math.round(restartMs)} ms`;
  return `${findings.cycle}: ${phase}, ${restart}, acknowledged ${counts}, faults ${findings.total}`;
}
