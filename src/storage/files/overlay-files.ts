/**
 * `Files` that lie over others: reads see them, writes stay in memory. For looking at a data
 * directory as a start would, without changing anything in it. Not for large writes.
 */
import type { Files, OpenFile } from './files.ts';

interface Layer {
  /** Null: the file exists only here. */
  readonly base: OpenFile | null;
  readonly patches: { position: number; bytes: Buffer }[];
  size: number;
}

export interface Overlay {
  readonly files: Files;
  /** Forgets what was written, and lets go of what lies below. */
  close(): Promise<void>;
}

export function overlayFiles(base: Files): Overlay {
  const layers = new Map<string, Layer>();
  const gone = new Set<string>();
  const open = async (path: string, create: boolean): Promise<Layer> => {
    const known = layers.get(path);
    if (known !== undefined) return known;
    const layer = await openBase(base, gone.has(path) ? null : path, create);
    layers.set(path, layer);
    gone.delete(path);
    return layer;
  };
  const files: Files = {
    async open(path, create) {
      return openLayer(await open(path, create));
    },
    async list(directory) {
      const names = new Set(await base.list(directory));
      for (const path of gone) names.delete(nameIn(directory, path));
      for (const path of layers.keys()) names.add(nameIn(directory, path));
      names.delete('');
      return [...names].sort();
    },
    async ensureDirectory() {},
    async rename(from, to) {
      const layer = await open(from, false);
      layers.delete(from);
      gone.add(from);
      await layers.get(to)?.base?.close();
      layers.set(to, layer);
      gone.delete(to);
    },
    async remove(path) {
      await layers.get(path)?.base?.close();
      layers.delete(path);
      gone.add(path);
    },
    // The directory itself is locked by who looks at it.
    async lock() {
      return async () => {};
    },
    space: (directory) => base.space(directory),
  };
  return {
    files,
    async close() {
      for (const { base: below } of layers.values()) await below?.close();
      layers.clear();
    },
  };
}

async function openBase(base: Files, path: string | null, create: boolean): Promise<Layer> {
  const missing = Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  if (path === null) {
    if (!create) throw missing;
    return { base: null, patches: [], size: 0 };
  }
  try {
    const file = await base.open(path, false);
    return { base: file, patches: [], size: await file.size() };
  } catch (error) {
    if (!create || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { base: null, patches: [], size: 0 };
  }
}

function nameIn(directory: string, path: string): string {
  const rest = path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : '';
  return rest.includes('/') ? '' : rest;
}

function openLayer(layer: Layer): OpenFile {
  const file: OpenFile = {
    async write(chunks, position) {
      const bytes = Buffer.concat(chunks);
      layer.patches.push({ position, bytes });
      layer.size = Math.max(layer.size, position + bytes.length);
    },
    async sync() {},
    writeThrough: (chunks, position) => file.write(chunks, position),
    async read(target, position) {
      const count = Math.max(0, Math.min(target.length, layer.size - position));
      target.fill(0, 0, count);
      if (layer.base !== null) await layer.base.read(target.subarray(0, count), position);
      patch(layer, target.subarray(0, count), position);
      return count;
    },
    readSync(target, position) {
      const count = Math.max(0, Math.min(target.length, layer.size - position));
      target.fill(0, 0, count);
      layer.base?.readSync(target.subarray(0, count), position);
      patch(layer, target.subarray(0, count), position);
      return count;
    },
    async size() {
      return layer.size;
    },
    async truncate(size) {
      layer.size = size;
    },
    // What lies below stays open for the next one who opens it.
    async close() {},
  };
  return file;
}

function patch(layer: Layer, target: Uint8Array, position: number): void {
  for (const { position: at, bytes } of layer.patches) {
    const from = Math.max(at, position);
    const to = Math.min(at + bytes.length, position + target.length);
    if (from < to) target.set(bytes.subarray(from - at, to - at), from - position);
  }
}
