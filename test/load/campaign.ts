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

/** Blows to one folder before the next settings have their turn. */
const BLOWS_PER_TRIAL = 20;
const PATIENCE_MS = 60_000;

export interface CampaignOptions {
  readonly blows: number;
  readonly seed: number;
  readonly settings?: readonly TrialSettings[];
  readonly blowsPerTrial?: number;
  readonly patienceMs?: number;
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
  minutes: number;
}

export async function runCampaign(striker: Striker, options: CampaignOptions): Promise<Tally> {
  const { blows, settings = TRIAL_SETTINGS, blowsPerTrial = BLOWS_PER_TRIAL } = options;
  const startedAt = performance.now();
  const seed = new Seed(options.seed);
  const tally = emptyTally(options.seed);
  let [dealt, told] = [0, 0];
  for (let trial = 0; dealt < blows; trial++) {
    const chosen = settings[trial % settings.length]!;
    const count = Math.min(blowsPerTrial, blows - dealt);
    const row = { title: chosen.title, blows: 0 };
    tally.trials.push(row);
    let last: Blow | null = null;
    await runTrial(striker, {
      settings: chosen,
      blows: count,
      seed,
      findings: tally.findings,
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
  }
  tally.minutes = (performance.now() - startedAt) / 60_000;
  return tally;
}

function emptyTally(seed: number): Tally {
  return {
    seed,
    findings: new Findings(),
    acknowledged: zeros(PROTOCOLS),
    phases: zeros(PHASES),
    restartsMs: [],
    trials: [],
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
