/** `node test/bank/main.ts --cycles N [--seed S]`: the bank test, as long as one likes. */
import { parseArgs } from 'node:util';
import { python, ready } from '../clients/toolchains/index.ts';
import { runBank } from './bank.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
});
const { folder, missing } = await ready(python);
if (folder === null) throw new Error(missing);
const booked = await runBank({
  cycles: Number(values.cycles),
  seed: Number(values.seed),
  packages: folder,
  say: (line) => console.log(line),
});
console.log(`${values.cycles} kills, ${booked} transfers booked once each`);
