/** Runs a program of somebody else and finds one rate in what it prints. */

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
  const child = spawn(tool.command, tool.args, { stdio: ['ignore', 'pipe', 'pipe'] });
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
  const seconds = (performance.now() - started) / 1000;
  const found = [...out.matchAll(tool.rate)].at(-1)?.[1];
  if (code !== 0 || found === undefined) {
    throw new Error(`${tool.command} ended with ${code}: ${out.trim().slice(-300)}`);
  }
  const perSecond = Number(found.replaceAll(',', ''));
  const megabytesPerSecond = (perSecond * tool.payloadBytes) / 1e6;
  const messages = Math.round(perSecond * seconds);
  return { messages, seconds, perSecond, megabytesPerSecond, lost: 0, loadCpu: 0 };
}
