/** Every load against the sink: the generators count, wait and end as they should. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runLoad, startSink } from './child.ts';
import { LOADS, type LoadSpec, PLAIN } from './spec.ts';

/** A sink speaks one protocol. */
const CROSSES = 'mqtt-crossing';

for (const load of LOADS.filter((name) => name !== CROSSES)) {
  test(`the load ${load} reaches its sink and counts what comes back`, async () => {
    const sink = await startSink(load);
    try {
      const spec: LoadSpec = {
        ...PLAIN,
        load,
        port: sink.port,
        payloadBytes: 128,
        window: load.startsWith('kafka') ? 5 : 100,
        publishers: 2,
        subscribers: 2,
        perSecond: 10_000,
        batch: load.startsWith('kafka') ? 100 : 1,
        warmMs: 50,
        runMs: 200,
        records: 20_000,
        take: 20_000,
        name: `test-${load}`,
      };
      const result = await runLoad(spec);
      assert.ok(result.messages > 0, 'nothing came back');
      assert.equal(result.lost, 0);
    } finally {
      await sink.stop();
    }
  });
}
