/** Runs the benchmark with the Node that the repository pins, whichever Node started this. */
import { launch } from '../bin/launch.mjs';

await launch('bench/main.ts');
