/** nats-bench from the examples of nats.go. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadResult } from '../load/spec.ts';
import { isInstalled, PEERS, runStep } from '../peers/peer.ts';
import type { ToolRun } from '../question.ts';
import { runTool } from './tool.ts';

const VERSION = 'v1.55.0';
const FOLDER = join(PEERS, 'nats');
const BINARY = join(FOLDER, 'nats-bench');
const PAYLOAD_BYTES = 128;
const MESSAGES = 3_000_000;

/** One publisher, one subscriber; counts what arrives. */
export function natsBench({ running, name, recordShare }: ToolRun): Promise<LoadResult> {
  if (!isInstalled(BINARY)) {
    mkdirSync(FOLDER, { recursive: true });
    const example = `github.com/nats-io/nats.go/examples/nats-bench@${VERSION}`;
    runStep('go', ['install', example], { GOBIN: FOLDER });
  }
  return runTool({
    command: BINARY,
    args: [
      ...['-s', `nats://127.0.0.1:${running.port}`, '-np', '1', '-ns', '1'],
      ...['-n', String(Math.round(MESSAGES * recordShare)), '-ms', String(PAYLOAD_BYTES), name],
    ],
    rate: /Sub stats: ([\d,]+) msgs\/sec/g,
    payloadBytes: PAYLOAD_BYTES,
  });
}
