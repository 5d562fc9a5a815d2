import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applySteps, ByteSink, decodeSnapshot, encodeSnapshot, QueueSteps } from './queue-codec.ts';
import { ENDED, LaneState, QueueState } from './queue-state.ts';

const ID = 7;

function stateWithLane(): { readonly state: QueueState; readonly lane: LaneState } {
  const state = new QueueState();
  const lane = new LaneState(3);
  state.lanes.set(1, lane);
  return { state, lane };
}

describe('the stored state of a queue', () => {
  it('comes back from a snapshot as it was', () => {
    const { state, lane } = stateWithLane();
    lane.bytes = 100;
    lane.deliveredTo = 12;
    state.ended[ENDED.acked] = lane.finish(3, 2, 20) + lane.finish(8, 1, 10);
    lane.delay(6, 5);
    lane.attempts.set(6, 2);
    lane.spans.add(6, lane.partitionNumber(99), 41);
    const back = decodeSnapshot(encodeSnapshot(new ByteSink(), ID, state), ID)!;
    assert.deepEqual(back.ended, state.ended);
    assert.deepEqual(
      encodeSnapshot(new ByteSink(), ID, back),
      encodeSnapshot(new ByteSink(), ID, state),
    );
    assert.equal(decodeSnapshot(encodeSnapshot(new ByteSink(), ID, state), ID + 1), null);
  });

  it('is changed by its steps as it was by what happened', () => {
    const [{ state, lane }, copy] = [stateWithLane(), stateWithLane()];
    const steps = new QueueSteps();
    for (const place of [3, 4, 5, 9]) {
      state.ended[ENDED.acked]! += lane.finish(place, 1, 0);
      steps.finish(1, place, 1, ENDED.acked, 0);
    }
    const sink = new ByteSink();
    steps.write(sink, ID);
    applySteps(sink.take(), (id) => (id === ID ? copy.state : null));
    assert.deepEqual(
      encodeSnapshot(sink, ID, copy.state),
      encodeSnapshot(new ByteSink(), ID, state),
    );
  });

  it('is not written with a number below 0: it could not be read again', () => {
    const { state, lane } = stateWithLane();
    lane.bytes = -1;
    assert.throws(() => encodeSnapshot(new ByteSink(), ID, state), /not negative/);
    assert.throws(() => new ByteSink().integer(Number.NaN), /not negative/);
  });
});
