/** Reads the batches of a run a piece at a time, for whoever copies them. */

import {
  baseOf,
  bodyAtOf,
  bodyBytesOf,
  endOf,
  isDamagedRow,
  logOf,
  ROW_BYTES,
} from '../commit/row-codec.ts';
import type { DamageReports } from '../recovery/damage.ts';
import { readBodies } from './body-reader.ts';
import type { LogRun, Segment } from './segment.ts';
import type { UseSegment } from './segment-store.ts';

/** Some rows of a run and their bodies. */
export interface Piece {
  readonly rows: Buffer;
  /** One for each row: null when it is damaged, empty when it is a hole. */
  readonly bodies: readonly (Buffer | null)[];
  readonly bytes: number;
}

/** What gives the rows and the bytes of runs. */
export interface RunSource {
  blocks(run: LogRun): AsyncGenerator<Buffer>;
  use: UseSegment;
}

/** Where to read, and whom to tell of damage. */
export interface PieceSource {
  readonly store: RunSource;
  readonly damage: DamageReports;
}

/**
 * The batches of a run that end after `from` and begin before `to`, some `bytesMax` at a time. A
 * body that is found damaged is reported.
 */
export async function* pieces(
  source: PieceSource,
  run: LogRun,
  from: number,
  to: number,
  bytesMax: number,
): AsyncGenerator<Piece> {
  for await (const block of source.store.blocks(run)) {
    for (let at = 0; at < block.length; ) {
      if (endOf(block, at) <= from) {
        at += ROW_BYTES;
        continue;
      }
      if (baseOf(block, at) >= to) return;
      const end = pieceEnd(block, at, to, bytesMax);
      yield await readPiece(source, run.segment, block.subarray(at, end), run.bodiesAt);
      at = end;
    }
  }
}

function pieceEnd(rows: Buffer, at: number, to: number, bytesMax: number): number {
  let bytes = 0;
  while (at < rows.length && bytes < bytesMax && baseOf(rows, at) < to) {
    bytes += bodyBytesOf(rows, at);
    at += ROW_BYTES;
  }
  return at;
}

async function readPiece(
  { store, damage }: PieceSource,
  segment: Segment,
  rows: Buffer,
  bodiesAt: number,
): Promise<Piece> {
  const positions: number[] = [];
  for (let at = 0; at < rows.length; at += ROW_BYTES) positions.push(bodiesAt + bodyAtOf(rows, at));
  const bodies: (Buffer | null)[] = [];
  let bytes = 0;
  while (bodies.length < positions.length) {
    const done = bodies.length;
    const rest = rows.subarray(done * ROW_BYTES);
    const { batches, damaged } = await store.use(segment, (from) =>
      readBodies(from, rest, positions.slice(done)),
    );
    for (const batch of batches) {
      bodies.push(batch.bytes);
      bytes += batch.bytes.length;
    }
    if (damaged === null) continue;
    const at = bodies.length * ROW_BYTES;
    if (!isDamagedRow(rows, at)) {
      const range = { logId: logOf(rows, at), from: baseOf(rows, at), to: endOf(rows, at) };
      damage.report({ ...range, file: segment.path, reason: 'checksum' });
    }
    bodies.push(null);
  }
  return { rows, bodies, bytes };
}
