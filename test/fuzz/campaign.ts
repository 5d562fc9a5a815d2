/**
 * A campaign against one target: inputs from a seed, guided by coverage when it is given. What
 * reached new code joins the queue; what was found is made small.
 */
import { Coverage } from './coverage.ts';
import { Dice } from './dice.ts';
import { mutate } from './mutation.ts';
import type { Target } from './target.ts';
import { Excess, type Means, tryInput } from './trial.ts';

export interface Plan extends Means {
  readonly seed: number;
  /** Ends after so many inputs … */
  readonly inputsMax: number;
  /**
   * … or after this time; `Infinity` where the number alone decides, so that it can be repeated.
   */
  readonly msMax: number;
  readonly guided: boolean;
  /** Different mistakes after which it ends. */
  readonly findingsMax: number;
  /** Inputs of the corpus. */
  readonly corpus: readonly Buffer[];
}

export interface Finding {
  readonly input: Buffer;
  readonly error: Error;
}

export interface Outcome {
  readonly inputs: number;
  /** Characters of the source that ran. */
  readonly covered: number;
  readonly findings: readonly Finding[];
  /** Inputs that reached new code, the given ones included. */
  readonly queue: readonly Buffer[];
}

const BATCH = 128;
const INPUT_BYTES_MAX = 4096;
/** Attempts to make a finding smaller. */
const SHRINKS_MAX = 400;

export async function runCampaign(target: Target, plan: Plan): Promise<Outcome> {
  const campaign = new Campaign(target, plan);
  try {
    return await campaign.run();
  } finally {
    campaign.coverage?.close();
    await target.close?.();
  }
}

class Campaign {
  readonly coverage: Coverage | null;
  readonly #target: Target;
  readonly #plan: Plan;
  readonly #dice: Dice;
  readonly #queue: Buffer[];
  readonly #findings: Finding[] = [];
  readonly #signatures = new Set<string>();
  #inputs = 0;

  constructor(target: Target, plan: Plan) {
    this.#target = target;
    this.#plan = plan;
    this.#dice = new Dice(plan.seed);
    this.coverage = plan.guided ? new Coverage() : null;
    this.#queue = [...target.seeds(), ...plan.corpus].map((input) => Buffer.from(input));
    if (this.#queue.length === 0) this.#queue.push(Buffer.alloc(1));
  }

  async run(): Promise<Outcome> {
    const { msMax, inputsMax, findingsMax } = this.#plan;
    const endsAt = performance.now() + msMax;
    for (const input of this.#queue) await this.#try(input);
    this.coverage?.look(true);
    const given = this.#inputs;
    while (this.#inputs - given < inputsMax && performance.now() < endsAt) {
      const length = Math.min(BATCH, given + inputsMax - this.#inputs);
      const batch = Array.from({ length }, () => this.#next());
      for (const input of batch) await this.#try(input);
      await this.#judge(batch);
      if (this.#findings.length >= findingsMax) break;
    }
    return {
      inputs: this.#inputs,
      covered: this.coverage?.size ?? 0,
      findings: this.#findings,
      queue: this.#queue,
    };
  }

  #next(): Buffer {
    const target = this.#target;
    const dice = this.#dice;
    const queue = this.#queue;
    // What was found last leads furthest.
    const recent = dice.oneIn(3) ? Math.max(0, queue.length - 16) : 0;
    const parent = queue[recent + dice.below(queue.length - recent)]!;
    const other = dice.pick(queue);
    const bytesMax = target.inputBytesMax ?? INPUT_BYTES_MAX;
    const changed = mutate(parent, dice, { words: target.words, other, bytesMax });
    return target.repair !== undefined && dice.oneIn(2) ? target.repair(changed, dice) : changed;
  }

  async #try(input: Buffer): Promise<void> {
    this.#inputs++;
    const error = await tryInput(this.#target, input, this.#plan);
    if (error === null) return;
    const signature = signatureOf(error);
    if (this.#signatures.has(signature)) return;
    this.#signatures.add(signature);
    this.#findings.push({ input: await this.#shrunk(input, signature), error });
  }

  /** Was anything new in the batch? Then it is halved and run again, to know which ones it was. */
  async #judge(batch: readonly Buffer[]): Promise<void> {
    const { coverage } = this;
    if (coverage === null) return;
    const alone = batch.length === 1;
    if (coverage.look(alone) === 0) return;
    if (alone) {
      this.#queue.push(batch[0]!);
      return;
    }
    const middle = batch.length >> 1;
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      for (const input of half) await tryInput(this.#target, input, this.#plan);
      await this.#judge(half);
    }
  }

  /** Leaves out what is not needed for the same finding. */
  async #shrunk(input: Buffer, signature: string): Promise<Buffer> {
    let small = input;
    let attempts = 0;
    for (let size = small.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at + size <= small.length && attempts < SHRINKS_MAX; attempts++) {
        const shorter = Buffer.concat([small.subarray(0, at), small.subarray(at + size)]);
        const error = await tryInput(this.#target, shorter, this.#plan);
        if (error !== null && signatureOf(error) === signature) small = shorter;
        else at += size;
      }
    }
    return small;
  }
}

/** The same for the same mistake: what it is and where, without the numbers in it. */
function signatureOf(error: Error): string {
  if (error instanceof Excess) return error.message.replace(/\d+/g, '#');
  const frames = (error.stack ?? '').split('\n').filter((line) => line.includes('/src/'));
  const place = frames.slice(0, 2).join(' ').replace(/\s+/g, ' ');
  return `${error.message.split('\n')[0]!.replace(/\d+/g, '#').slice(0, 60)} ${place}`;
}

/**
 * The smallest set of inputs that reaches all that the queue reaches, short ones first; without
 * those in `already`.
 */
export async function distilled(
  target: Target,
  queue: readonly Buffer[],
  already: readonly Buffer[],
): Promise<Buffer[]> {
  const coverage = new Coverage();
  const kept: Buffer[] = [];
  const means = { cpuMsMax: Number.POSITIVE_INFINITY };
  for (const input of already) await tryInput(target, input, means);
  coverage.look(true);
  for (const input of queue.toSorted((a, b) => a.length - b.length)) {
    await tryInput(target, input, means);
    if (coverage.look(true) > 0) kept.push(input);
  }
  coverage.close();
  await target.close?.();
  return kept;
}
