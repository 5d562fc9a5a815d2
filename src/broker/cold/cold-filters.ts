/**
 * The subscriptions of queues that are not in memory. A filter is a text in a table; those with
 * wildcards are told apart by their shape: how many levels they have, where the wildcards stand. A
 * match makes of the address, for each shape that there is, the one filter of that shape which
 * matches it, and looks it up: it costs what shapes there are, not what filters. Texts are compared
 * in full, so a match is one. Some 40 bytes for a subscription beside its text.
 */
import type { Address } from '../addresses/address.ts';
import { ANY, isReservedWord, ONE, type Pattern } from '../addresses/pattern.ts';
import { grownBytes, grownRows, grownWords } from './numbers.ts';
import { TextTable } from './text-table.ts';

/** With more shapes a match would not be flat: subscriptions of others must stay in memory. */
const SHAPES_MAX = 64;
const NONE = 0;

interface Shape {
  /** Levels before a closing ANY. */
  readonly levels: number;
  /** Which of them are ONE. */
  readonly ones: readonly number[];
  readonly any: boolean;
  /** Filters of this shape. */
  filters: number;
}

/** Called per filter that matches; `alias` when it is the flat name of a dotted address. */
type FoundFilter = (filter: number, alias: boolean) => void;

export class ColdFilters {
  /** Grows when a filter comes or goes, not with each that subscribes to it. */
  version = 0;
  /** Subscriptions. */
  size = 0;
  readonly #filters = new TextTable();
  /** First subscription of each filter, and of each owner; a number + 1. */
  #heads = new Uint32Array(0);
  #ownerHeads = new Uint32Array(0);
  /** Subscriptions of each filter. */
  #counts = new Uint32Array(0);
  readonly #shapes = new Map<string, Shape>();
  #exact = 0;
  /** By number of a subscription, from 1 on. */
  #next = new Uint32Array(0);
  #previous = new Uint32Array(0);
  #nextOfOwner = new Uint32Array(0);
  #owners = new Uint32Array(0);
  #filterOf = new Uint32Array(0);
  #options = new Uint8Array(0);
  #rows = 1;
  #free = NONE;

  get bytes(): number {
    const { length } = this.#next;
    const { bytes } = this.#filters;
    return bytes + 21 * length + 8 * this.#heads.length + 4 * this.#ownerHeads.length;
  }

  /** False when a pattern cannot lie here: another form, or one shape too many. */
  takes(pattern: Pattern): boolean {
    if (pattern.form !== 'slash' || !pattern.hidesReserved) return false;
    if (pattern.exact || this.#shapes.size < SHAPES_MAX) return true;
    return this.#shapes.has(shapeKey(pattern));
  }

  /**
   * @param owner a small number
   * @param options 0 to 255
   */
  add(owner: number, pattern: Pattern, options: number): void {
    let filter = this.#filters.find(pattern.text);
    if (filter < 0) filter = this.#newFilter(pattern);
    const row = this.#newRow();
    const head = this.#heads[filter]!;
    this.#next[row] = head;
    this.#previous[row] = NONE;
    if (head !== NONE) this.#previous[head] = row;
    this.#heads[filter] = row;
    this.#counts[filter]!++;
    if (owner >= this.#ownerHeads.length) {
      this.#ownerHeads = grownWords(
        this.#ownerHeads,
        grownRows(this.#ownerHeads.length, owner + 1),
      );
    }
    this.#nextOfOwner[row] = this.#ownerHeads[owner]!;
    this.#ownerHeads[owner] = row;
    this.#owners[row] = owner;
    this.#filterOf[row] = filter;
    this.#options[row] = options;
    this.size++;
  }

  /** Forgets the subscriptions of an owner. */
  remove(owner: number): void {
    let row = this.#ownerHeads[owner] ?? NONE;
    if (row === NONE) return;
    this.#ownerHeads[owner] = NONE;
    while (row !== NONE) {
      const following = this.#nextOfOwner[row]!;
      this.#unlink(row);
      this.#nextOfOwner[row] = this.#free;
      this.#free = row;
      this.size--;
      row = following;
    }
  }

  match(address: Address, found: FoundFilter): void {
    if (this.size === 0) return;
    const { text } = address;
    if (this.#exact > 0) {
      this.#look(text, false, found);
      if (address.dotted && !address.flat && !text.includes('.')) {
        this.#look(text.replaceAll('/', '.'), true, found);
      }
    }
    if (this.#shapes.size === 0) return;
    const words = text.split('/');
    const hidden = address.reserved && isReservedWord(words[0]!);
    for (const shape of this.#shapes.values()) {
      const { levels, ones, any } = shape;
      if (any ? words.length < levels : words.length !== levels) continue;
      // [MQTT-4.7.2-1] and its like.
      if (hidden && (levels === 0 || ones[0] === 0)) continue;
      this.#look(filterOf(shape, words), false, found);
    }
  }

  /** The first subscription of a filter; 0: there is none. */
  first(filter: number): number {
    return this.#heads[filter]!;
  }

  next(subscription: number): number {
    return this.#next[subscription]!;
  }

  /** Subscriptions of a filter. */
  countOf(filter: number): number {
    return this.#counts[filter]!;
  }

  textOf(filter: number): string {
    return this.#filters.textOf(filter);
  }

  /** The first subscription of an owner; 0: there is none. */
  firstOf(owner: number): number {
    return this.#ownerHeads[owner] ?? NONE;
  }

  nextOf(subscription: number): number {
    return this.#nextOfOwner[subscription]!;
  }

  filterOf(subscription: number): number {
    return this.#filterOf[subscription]!;
  }

  ownerOf(subscription: number): number {
    return this.#owners[subscription]!;
  }

  optionsOf(subscription: number): number {
    return this.#options[subscription]!;
  }

  #look(text: string, alias: boolean, found: FoundFilter): void {
    const filter = this.#filters.find(text);
    if (filter >= 0) found(filter, alias);
  }

  #newFilter(pattern: Pattern): number {
    const filter = this.#filters.add(pattern.text);
    if (filter >= this.#heads.length) {
      this.#heads = grownWords(this.#heads, this.#filters.capacity);
      this.#counts = grownWords(this.#counts, this.#filters.capacity);
    }
    this.#heads[filter] = NONE;
    this.#counts[filter] = 0;
    this.version++;
    if (pattern.exact) {
      this.#exact++;
      return filter;
    }
    const key = shapeKey(pattern);
    const known = this.#shapes.get(key);
    if (known !== undefined) known.filters++;
    else this.#shapes.set(key, shapeOf(pattern.text));
    return filter;
  }

  #unlink(row: number): void {
    const [next, previous] = [this.#next[row]!, this.#previous[row]!];
    const filter = this.#filterOf[row]!;
    this.#counts[filter]!--;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#heads[filter] = next;
    if (this.#heads[filter] === NONE) this.#endFilter(filter);
  }

  #endFilter(filter: number): void {
    const text = this.#filters.textOf(filter);
    this.#filters.remove(filter);
    this.version++;
    if (isExact(text)) {
      this.#exact--;
      return;
    }
    const key = keyOfShape(shapeOf(text));
    const shape = this.#shapes.get(key)!;
    shape.filters--;
    if (shape.filters === 0) this.#shapes.delete(key);
  }

  #newRow(): number {
    if (this.#free !== NONE) {
      const row = this.#free;
      this.#free = this.#nextOfOwner[row]!;
      return row;
    }
    const row = this.#rows++;
    if (row >= this.#next.length) this.#grow(grownRows(this.#next.length, this.#rows));
    return row;
  }

  #grow(rows: number): void {
    this.#next = grownWords(this.#next, rows);
    this.#previous = grownWords(this.#previous, rows);
    this.#nextOfOwner = grownWords(this.#nextOfOwner, rows);
    this.#owners = grownWords(this.#owners, rows);
    this.#filterOf = grownWords(this.#filterOf, rows);
    this.#options = grownBytes(this.#options, rows);
  }
}

/** The filter of a shape that matches these words. */
function filterOf({ levels, ones, any }: Shape, words: readonly string[]): string {
  let text = '';
  let one = 0;
  for (let level = 0; level < levels; level++) {
    if (level > 0) text += '/';
    if (ones[one] === level) {
      text += '+';
      one++;
    } else text += words[level];
  }
  if (!any) return text;
  return levels === 0 ? '#' : `${text}/#`;
}

function isExact(text: string): boolean {
  return !text.includes('+') && !text.includes('#');
}

function shapeOf(text: string): Shape {
  const words = text.split('/');
  const any = words[words.length - 1] === '#';
  if (any) words.pop();
  const ones: number[] = [];
  for (const [level, word] of words.entries()) if (word === '+') ones.push(level);
  return { levels: words.length, ones, any, filters: 1 };
}

function shapeKey({ parts }: Pattern): string {
  let key = '';
  for (const part of parts) key += part === ONE ? '+' : part === ANY ? '#' : '.';
  return key;
}

function keyOfShape({ levels, ones, any }: Shape): string {
  let key = '';
  for (let level = 0; level < levels; level++) key += ones.includes(level) ? '+' : '.';
  return any ? `${key}#` : key;
}
