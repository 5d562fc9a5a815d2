/**
 * Runs a TypeScript program of the repository with the Node that it pins, whichever Node started
 * this: `node scripts/run.mjs test/crash/main.ts [arguments]`.
 */
import process from 'node:process';
import { launch } from '../bin/launch.mjs';

const [program] = process.argv.splice(2, 1);
await launch(program);
