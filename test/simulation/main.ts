/** `npm run simulate`: one seed, with its trace, or many. */
import { play } from './play.ts';

const seed = Number(process.argv[2] ?? 1);
const count = Number(process.argv[3] ?? 1);
const show = process.argv.includes('--trace') ? (line: string) => console.log(line) : null;
const began = performance.now();
for (let each = seed; each < seed + count; each++) {
  const outcome = await play(each, show);
  const { hash, failure, virtualMs, events, counts } = outcome;
  console.log(each, hash.slice(0, 12), Math.round(virtualMs), events, JSON.stringify(counts));
  if (failure !== null) {
    console.log(outcome.tail.join('\n'));
    console.log(failure.stack);
  }
}
console.log(((performance.now() - began) / count).toFixed(0), 'ms each');
