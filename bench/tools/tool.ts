/** Runs a program of somebody else and finds a figure in what it prints. */

import { spawn } from 'node:child_process';
import type { LoadResult } from '../load/spec.ts';

export interface ToolCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Finds the rate in messages each second; commas between thousands are taken out. */
  readonly rate: RegExp;
  readonly payloadBytes: number;
}

export async function runTool(tool: ToolCommand): Promise<LoadResult> {
  const started = performance.now();
  const perSecond = await figureOfTool(tool, tool.rate);
  const seconds = (performance.now() - started) / 1000;
  const megabytesPerSecond = (perSecond * tool.payloadBytes) / 1e6;
  const messages = Math.round(perSecond * seconds);
  return { messages, seconds, perSecond, megabytesPerSecond, lost: 0, loadCpu: 0 };
}

type Program = Pick<ToolCommand, 'command' | 'args'>;

/** The number that the pattern finds last. */
export async function figureOfTool(program: Program, pattern: RegExp): Promise<number> {
  const out = await outputOfTool(program);
  const found = [...out.matchAll(pattern)].at(-1)?.[1];
  if (found === undefined) throw new Error(`${program.command} says ${out.trim().slice(-300)}`);
  return Number(found.replaceAll(',', ''));
}

/** Everything that it prints; a program that fails is an error with its last words. */
export async function outputOfTool({ command, args }: Program): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  const collect = (chunk: Buffer) => {
    out += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${out.trim().slice(-300)}`);
  return out;
}
