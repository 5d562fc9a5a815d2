/**
 * An index over streams that is made when somebody asks, and only as far as the answer needs: a
 * start with a hundred thousand streams must not pay for what most servers never ask for.
 */
export class LateIndex<Value extends object> {
  readonly #keyOf: (value: Value) => string | null;
  /** What has no key is not in here; what shares one is in a list. */
  readonly #known = new Map<string, Value | Value[]>();
  /** What was not looked at yet, and what will come; null when all is known. */
  #rest: Iterator<Value> | null;

  /**
   * @param all a live view, as of a Map: what is added shows up at its end
   * @param keyOf null for what nobody will look for
   */
  constructor(all: Iterator<Value>, keyOf: (value: Value) => string | null) {
    this.#rest = all;
    this.#keyOf = keyOf;
  }

  /** Added to what the view shows. */
  added(value: Value): void {
    if (this.#rest === null) this.#keep(value);
  }

  /** Taken out of what the view shows. */
  removed(value: Value): void {
    const key = this.#keyOf(value);
    const known = key === null ? undefined : this.#known.get(key);
    if (known === value) this.#known.delete(key!);
    else if (Array.isArray(known)) {
      const at = known.indexOf(value);
      if (at >= 0) known.splice(at, 1);
    }
  }

  find(key: string, isIt: (value: Value) => boolean): Value | undefined {
    const known = this.#known.get(key);
    if (Array.isArray(known)) {
      const found = known.find(isIt);
      if (found !== undefined) return found;
    } else if (known !== undefined && isIt(known)) {
      return known;
    }
    for (let next = this.#rest?.next(); next !== undefined; next = this.#rest?.next()) {
      if (next.done === true) {
        this.#rest = null;
        return undefined;
      }
      this.#keep(next.value);
      if (this.#keyOf(next.value) === key && isIt(next.value)) return next.value;
    }
    return undefined;
  }

  #keep(value: Value): void {
    const key = this.#keyOf(value);
    if (key === null) return;
    const known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, value);
    else if (Array.isArray(known)) known.push(value);
    else this.#known.set(key, [known, value]);
  }
}
