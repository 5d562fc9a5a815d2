/**
 * Where reorganisation stands: which write-ahead files are in segments, which jobs were done, and
 * the next numbers. What a checkpoint says of it, and what each segment says of its time.
 */
import type { CheckpointHeader } from '../recovery/checkpoint-codec.ts';
import type { Recovered } from '../recovery/recovery.ts';
import { type JobParts, type JobPlan, JobWriter, type Standing } from '../segments/job-writer.ts';
import { LANE } from '../segments/segment-codec.ts';

export type Positions = Pick<
  CheckpointHeader,
  'writer' | 'generation' | 'replayFrom' | 'nextSegment' | 'nextJob' | 'done'
>;

/** What a job is about; the rest of its plan is numbers. */
export type JobTask = Pick<JobPlan, 'lane' | 'level' | 'lastSequence' | 'replaced' | 'shadows'>;

export class Ledger {
  #writer = 1;
  #standing: Standing = { generation: 0, replayFrom: 1, done: [0, 0] };
  #nextSegment = 1;
  #nextJob = 1;

  start(found: Recovered): void {
    this.#writer = found.writer;
    this.#standing = found.standing;
    this.#nextSegment = found.nextSegment;
    this.#nextJob = found.nextJob;
  }

  get positions(): Positions {
    const { generation, replayFrom, done } = this.#standing;
    return {
      ...{ generation, replayFrom, done, writer: this.#writer },
      ...{ nextSegment: this.#nextSegment, nextJob: this.#nextJob },
    };
  }

  /**
   * Begins a job.
   * @param after of level 1: where the engine stands when the job is done
   */
  begin(parts: Omit<JobParts, 'nextId'>, task: JobTask, after?: Omit<Standing, 'done'>): JobWriter {
    const { generation, replayFrom, done } = { ...this.#standing, ...after };
    const plan = { ...task, job: this.#nextJob++, generation, replayFrom, done };
    return new JobWriter({ ...parts, nextId: () => this.#nextSegment++ }, plan);
  }

  /** The segments of a job are in use from now on. */
  done(plan: JobPlan): void {
    const { lane, job, generation, replayFrom } = plan;
    const [levelOne, merge] = this.#standing.done;
    this.#standing =
      lane === LANE.levelOne
        ? { generation, replayFrom, done: [job, merge] }
        : { ...this.#standing, done: [levelOne, job] };
  }
}
