/**
 * A copy of a `KeyIndex` in the catalogue, written when the server stops: a start reads some ten
 * megabytes for a million keys instead of each key. It counts for the rows of one mark alone, and
 * goes with the first of them that changes.
 */
import type { MetaChange, MetaStore } from '#meta';
import type { KeyIndex } from './key-index.ts';
import { KeyLeaf } from './key-leaf.ts';

const TABLE = 'last-values-index';
/** The row that says what there is; without it nothing counts. */
const HEAD = '';
const LEAVES_PER_ROW = 16;
/** Rows of one write or look: about half a megabyte. */
const PIECE_ROWS = 16;
const DIGITS = 8;
/** The mark of a copy that cannot be used. */
const BAD = -1;
/** Before each leaf: its keys, its bytes. */
const LEAF_HEAD_BYTES = 8;

/** What the rows are whose keys are in the index. */
export interface IndexHead {
  readonly mark: number;
  readonly count: number;
  readonly bytes: number;
}

export class KeyIndexCopy {
  readonly #meta: MetaStore;
  /** Of the copy that is there, good or not; null: there is none. */
  #mark: number | null = null;

  constructor(meta: MetaStore) {
    this.#meta = meta;
  }

  /** To be written with the next change of the rows. */
  endedBy(): readonly MetaChange[] {
    return this.#mark === null ? [] : [{ table: TABLE, key: HEAD, value: null }];
  }

  ended(): void {
    this.#mark = null;
  }

  /** Fills an empty index. @returns null when there is no copy for this mark */
  async load(index: KeyIndex, mark: number, turn: () => Promise<void>): Promise<IndexHead | null> {
    const stored = this.#meta.read(TABLE, HEAD);
    if (stored === undefined) return null;
    const head = JSON.parse(stored.toString()) as IndexHead;
    this.#mark = head.mark;
    if (head.mark !== mark) return null;
    for (let from = rowKey(0); ; await turn()) {
      const span = { from, before: null, rowsMax: PIECE_ROWS };
      const rows = this.#meta.range(TABLE, span);
      for (const { value } of rows) for (const leaf of leavesOf(value)) index.add(leaf);
      if (rows.length < PIECE_ROWS) break;
      from = `${rows[rows.length - 1]!.key}\0`;
    }
    if (index.count === head.count) return head;
    index.clear();
    this.#mark = BAD;
    return null;
  }

  /**
   * @param isGood asked at the end: the index has not changed meanwhile
   * @throws BrokerError
   */
  async save(
    index: KeyIndex,
    head: IndexHead,
    turn: () => Promise<void>,
    isGood: () => boolean,
  ): Promise<void> {
    if (this.#mark === head.mark) return;
    if (this.#mark !== null) await this.#meta.write(this.endedBy(), true);
    this.#mark = null;
    const { leaves } = index;
    let row = 0;
    for (let at = 0; at < leaves.length; await turn()) {
      const piece: MetaChange[] = [];
      for (; piece.length < PIECE_ROWS && at < leaves.length; at += LEAVES_PER_ROW) {
        const value = bytesOf(leaves.slice(at, at + LEAVES_PER_ROW));
        piece.push({ table: TABLE, key: rowKey(row++), value });
      }
      await this.#meta.write(piece, true);
    }
    // Those of a larger index that was written before.
    while (true) {
      const keys = this.#meta.keys(TABLE, { from: rowKey(row), before: null, rowsMax: 1_000 });
      if (keys.length === 0) break;
      await this.#meta.write(
        keys.map((key) => ({ table: TABLE, key, value: null })),
        true,
      );
      await turn();
    }
    if (!isGood()) return;
    const value = Buffer.from(JSON.stringify(head));
    await this.#meta.write([{ table: TABLE, key: HEAD, value }], true);
    this.#mark = head.mark;
  }
}

function rowKey(row: number): string {
  return row.toString(16).padStart(DIGITS, '0');
}

function bytesOf(leaves: readonly KeyLeaf[]): Buffer {
  const parts: Buffer[] = [];
  for (const leaf of leaves) {
    const head = Buffer.allocUnsafe(LEAF_HEAD_BYTES);
    head.writeUInt32LE(leaf.count, 0);
    head.writeUInt32LE(leaf.used, 4);
    parts.push(head, leaf.stored);
  }
  return Buffer.concat(parts);
}

function* leavesOf(bytes: Buffer): Generator<KeyLeaf> {
  for (let at = 0; at < bytes.length; ) {
    const count = bytes.readUInt32LE(at);
    const end = at + LEAF_HEAD_BYTES + bytes.readUInt32LE(at + 4);
    yield KeyLeaf.of(bytes.subarray(at + LEAF_HEAD_BYTES, end), count);
    at = end;
  }
}
