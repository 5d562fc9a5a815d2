/** The bank test of exactly-once, short; `test/bank/main.ts --cycles N` is the long one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { python, ready } from '../clients/toolchains/index.ts';
import { runBank } from './bank.ts';

const CYCLES = 6;
const { folder, missing } = await ready(python);
const skip = missing ?? false;

describe('a bank on exactly-once transactions', { skip }, () => {
  it('keeps its sum while server and workers are killed K69 K72 K204', async () => {
    const say = (): void => {};
    const booked = await runBank({ cycles: CYCLES, seed: 1, packages: folder ?? '', say });
    assert.ok(booked > 0);
  });
});
