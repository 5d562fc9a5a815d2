/**
 * The index of patterns: which values are interested in an address? Exact patterns lie in one hash
 * table per form, the others in one trie per form. A match costs the levels of the address and the
 * wildcards on its way, not the number of patterns; a million patterns are the design size.
 */
import type { Address } from './address.ts';
import { ANY, isReservedWord, ONE, type Part, type Pattern, SOME } from './pattern.ts';

class Node<T> {
  children: Map<string, Node<T>> | null = null;
  one: Node<T> | null = null;
  /** What follows an ANY in the middle or at the end. */
  any: Node<T> | null = null;
  /** Values of patterns that end here with SOME. */
  some: Set<T> | null = null;
  values: Set<T> | null = null;

  get empty(): boolean {
    return (
      (this.children === null || this.children.size === 0) &&
      this.one === null &&
      this.any === null &&
      this.some === null &&
      this.values === null
    );
  }
}

/** Called per interested value; `alias` when it matched the flat name of a dotted address. */
export type Found<T> = (value: T, alias: boolean) => void;

interface Form<T> {
  readonly exact: Map<string, Set<T>>;
  /** Root of patterns whose first-level wildcards may see reserved words. */
  readonly open: Node<T>;
  readonly hiding: Node<T>;
}

const newForm = <T>(): Form<T> => ({ exact: new Map(), open: new Node(), hiding: new Node() });

export class MatchIndex<T> {
  /** Grows with every change: what was computed from the index is good while it is the same. */
  version = 0;
  size = 0;
  readonly #slash = newForm<T>();
  readonly #dot = newForm<T>();

  /** False when the value stood under the pattern already. */
  add(pattern: Pattern, value: T): boolean {
    const values = this.#valuesOf(pattern);
    if (values.has(value)) return false;
    values.add(value);
    this.size++;
    this.version++;
    return true;
  }

  remove(pattern: Pattern, value: T): boolean {
    const form = pattern.form === 'slash' ? this.#slash : this.#dot;
    let removed: boolean;
    if (pattern.exact) {
      const key = pattern.parts.join('/');
      const values = form.exact.get(key);
      removed = values?.delete(value) ?? false;
      if (values?.size === 0) form.exact.delete(key);
    } else {
      removed = removeFrom(rootOf(form, pattern), pattern.parts, value);
    }
    if (removed) {
      this.size--;
      this.version++;
    }
    return removed;
  }

  match(address: Address, found: Found<T>): void {
    this.#matchForm(this.#slash, address.text, address, found);
    // A flat name is seen by its dots; the key of dot patterns joins words with slashes.
    const dotted = address.flat ? address.text.replaceAll('.', '/') : address.text;
    this.#matchForm(this.#dot, dotted, address, found);
    if (address.dotted && !address.flat) this.#matchAlias(address, found);
  }

  /** Alias rule 2: an exact slash pattern `a.b.c` sees the dotted address [a, b, c]. */
  #matchAlias(address: Address, found: Found<T>): void {
    if (this.#slash.exact.size === 0) return;
    if (address.text.includes('.')) return;
    const values = this.#slash.exact.get(address.text.replaceAll('/', '.'));
    if (values !== undefined) for (const value of values) found(value, true);
  }

  #matchForm(form: Form<T>, key: string, address: Address, found: Found<T>): void {
    const exact = form.exact.get(key);
    if (exact !== undefined) for (const value of exact) found(value, false);
    const openEmpty = form.open.empty;
    const hidingEmpty = form.hiding.empty;
    if (openEmpty && hidingEmpty) return;
    const words = key.split('/');
    const each: (value: T) => void = (value) => found(value, false);
    if (!openEmpty) walk(form.open, words, 0, each, null);
    if (hidingEmpty) return;
    if (!address.reserved || !isReservedWord(words[0]!)) walk(form.hiding, words, 0, each, null);
    else {
      const next = form.hiding.children?.get(words[0]!);
      if (next !== undefined) walk(next, words, 1, each, null);
    }
  }

  #valuesOf(pattern: Pattern): Set<T> {
    const form = pattern.form === 'slash' ? this.#slash : this.#dot;
    if (pattern.exact) {
      const key = pattern.parts.join('/');
      let values = form.exact.get(key);
      if (values === undefined) {
        values = new Set();
        form.exact.set(key, values);
      }
      return values;
    }
    let node = rootOf(form, pattern);
    for (const part of pattern.parts) {
      if (part === SOME) {
        node.some ??= new Set();
        return node.some;
      }
      node = childOf(node, part);
    }
    node.values ??= new Set();
    return node.values;
  }
}

function rootOf<T>(form: Form<T>, pattern: Pattern): Node<T> {
  return pattern.hidesReserved ? form.hiding : form.open;
}

function childOf<T>(node: Node<T>, part: Exclude<Part, typeof SOME>): Node<T> {
  if (part === ONE) {
    node.one ??= new Node();
    return node.one;
  }
  if (part === ANY) {
    node.any ??= new Node();
    return node.any;
  }
  node.children ??= new Map();
  let child = node.children.get(part);
  if (child === undefined) {
    child = new Node();
    node.children.set(part, child);
  }
  return child;
}

/**
 * `seen` keeps the (node, position) pairs that were walked below an ANY, so that several of them in
 * one pattern cost the product of their lengths, not its power; null before the first.
 */
function walk<T>(
  node: Node<T>,
  words: readonly string[],
  at: number,
  found: (value: T) => void,
  seen: Map<Node<T>, Set<number>> | null,
): void {
  // One way to go on is a turn of the loop, so that a deep pattern costs no stack.
  for (let next: Node<T> | undefined = node; next !== undefined; at++) {
    node = next;
    if (seen !== null) {
      let positions = seen.get(node);
      if (positions === undefined) {
        positions = new Set();
        seen.set(node, positions);
      }
      if (positions.has(at)) return;
      positions.add(at);
    }
    if (node.any !== null) walkAny(node.any, words, at, found, seen);
    if (at === words.length) {
      if (node.values !== null) for (const value of node.values) found(value);
      return;
    }
    if (node.some !== null) for (const value of node.some) found(value);
    next = node.children?.get(words[at]!);
    if (node.one === null) continue;
    if (next === undefined) next = node.one;
    else walk(node.one, words, at + 1, found, seen);
  }
}

function walkAny<T>(
  any: Node<T>,
  words: readonly string[],
  at: number,
  found: (value: T) => void,
  seen: Map<Node<T>, Set<number>> | null,
): void {
  const ends = any.children === null && any.one === null && any.some === null;
  // The usual case, ANY as the last part, needs no walk over the rest.
  if (ends && any.any === null) {
    if (any.values === null || !firstVisit(seen, any)) return;
    for (const value of any.values) found(value);
    return;
  }
  const below = seen ?? new Map<Node<T>, Set<number>>();
  for (let rest = at; rest <= words.length; rest++) walk(any, words, rest, found, below);
}

/** Below an ANY a closing ANY is reached from several positions, but counts once. */
function firstVisit<T>(seen: Map<Node<T>, Set<number>> | null, node: Node<T>): boolean {
  if (seen === null) return true;
  if (seen.has(node)) return false;
  seen.set(node, new Set());
  return true;
}

/** Removes the value and the nodes that only it kept. */
function removeFrom<T>(root: Node<T>, parts: readonly Part[], value: T): boolean {
  const path = [root];
  let values: Set<T> | null = null;
  for (const part of parts) {
    const node: Node<T> = path.at(-1)!;
    if (part === SOME) {
      values = node.some;
      break;
    }
    const child = nextOf(node, part);
    if (child === null) return false;
    path.push(child);
  }
  const last = path.at(-1)!;
  const ofSome = path.length <= parts.length;
  if (!ofSome) values = last.values;
  if (values === null || !values.delete(value)) return false;
  if (values.size === 0) {
    if (ofSome) last.some = null;
    else last.values = null;
  }
  for (let at = path.length - 1; at > 0 && path[at]!.empty; at--) {
    cut(path[at - 1]!, parts[at - 1] as Exclude<Part, typeof SOME>);
  }
  return true;
}

function nextOf<T>(node: Node<T>, part: Exclude<Part, typeof SOME>): Node<T> | null {
  if (part === ONE) return node.one;
  return part === ANY ? node.any : (node.children?.get(part) ?? null);
}

function cut<T>(node: Node<T>, part: Exclude<Part, typeof SOME>): void {
  if (part === ONE) node.one = null;
  else if (part === ANY) node.any = null;
  else {
    node.children!.delete(part);
    if (node.children!.size === 0) node.children = null;
  }
}
