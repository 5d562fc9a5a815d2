/**
 * Matches whole topic names against a pattern of RE2's syntax, in time linear in the name: states
 * of an automaton are found as names need them, and forgotten when there are many. The work is
 * counted, so that who matches many names can let others run in between.
 */
import { ASCII, type CharSet, namedSet } from './char-set.ts';
import { type Assertion, type Node, PatternError, parsePattern } from './pattern-syntax.ts';

/** Longer programs would make each character of a name expensive. */
const STEPS_MAX = 4000;
/** States that are remembered: about a kilobyte each. */
const STATES_MAX = 200;

type Step =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly what: Assertion }
  /** Goes on at both places. */
  | { readonly kind: 'split'; first: number; second: number }
  | { readonly kind: 'jump'; to: number }
  | { readonly kind: 'match' };

/** Where the automaton may be after some characters, before what takes none is followed. */
interface State {
  readonly steps: readonly number[];
  /** The character before was part of a word; null at the beginning. */
  readonly afterWord: boolean | null;
  /** By the next character; the last is the end of the name: null there is "no match". */
  readonly next: (State | null | undefined)[];
  matches: boolean | undefined;
}

const WORD = namedSet('letter', 'w')!;

export class TopicPattern {
  readonly #program: Step[] = [];
  readonly #states = new Map<string, State>();
  readonly #start: readonly number[] = [0];
  /** Grows with the work done. */
  work = 0;

  /** @throws PatternError with what is wrong */
  constructor(text: string) {
    this.#compile(parsePattern(text));
    this.#program.push({ kind: 'match' });
  }

  matches(name: string): boolean {
    let state: State | null = this.#state(this.#start, null);
    for (let at = 0; at < name.length; at++) {
      const code = name.charCodeAt(at);
      if (code >= ASCII) return false;
      this.work++;
      const next: State | null = state.next[code] ?? this.#step(state, code);
      if (next === null) return false;
      state = next;
    }
    state.matches ??= this.#follow(state, null).some((step) => {
      return this.#program[step]!.kind === 'match';
    });
    return state.matches;
  }

  /** Forgets what it learned of names: it is learned again when needed. */
  rest(): void {
    this.#states.clear();
  }

  #step(state: State, code: number): State | null {
    if (state.next[code] === null) return null;
    const steps: number[] = [];
    for (const step of this.#follow(state, WORD.has(code))) {
      const { [step]: at } = this.#program;
      if (at!.kind === 'set' && at!.set.has(code)) steps.push(step + 1);
    }
    const next = steps.length === 0 ? null : this.#state(steps, WORD.has(code));
    state.next[code] = next;
    return next;
  }

  #state(steps: readonly number[], afterWord: boolean | null): State {
    const key = `${afterWord} ${steps.join()}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      // States that are in use go on, and are found anew.
      if (this.#states.size >= STATES_MAX) this.#states.clear();
      state = { steps, afterWord, next: [], matches: undefined };
      this.#states.set(key, state);
    }
    return state;
  }

  /**
   * The steps that are reached without a character.
   * @param beforeWord the next character is part of a word; null at the end
   */
  #follow(state: State, beforeWord: boolean | null): number[] {
    const seen = new Set<number>();
    const open = [...state.steps].reverse();
    while (open.length > 0) {
      const at = open.pop()!;
      if (seen.has(at)) continue;
      seen.add(at);
      this.work++;
      const step = this.#program[at]!;
      if (step.kind === 'jump') open.push(step.to);
      else if (step.kind === 'split') open.push(step.second, step.first);
      else if (step.kind === 'assert' && holds(step.what, state.afterWord, beforeWord)) {
        open.push(at + 1);
      }
    }
    return [...seen];
  }

  #emit(step: Step): number {
    if (this.#program.length >= STEPS_MAX) throw new PatternError('the expression is too large');
    return this.#program.push(step) - 1;
  }

  #compile(node: Node): void {
    switch (node.kind) {
      case 'empty':
        return;
      case 'set':
      case 'assert':
        this.#emit(node);
        return;
      case 'all':
        for (const part of node.parts) this.#compile(part);
        return;
      case 'any':
        this.#alternatives(node.parts);
        return;
      case 'repeat':
        this.#repeat(node.of, node.min, node.max);
    }
  }

  #alternatives(parts: readonly Node[]): void {
    const ends: { kind: 'jump'; to: number }[] = [];
    parts.forEach((part, index) => {
      if (index === parts.length - 1) {
        this.#compile(part);
        return;
      }
      const split = { kind: 'split' as const, first: 0, second: 0 };
      split.first = this.#emit(split) + 1;
      this.#compile(part);
      const end = { kind: 'jump' as const, to: 0 };
      split.second = this.#emit(end) + 1;
      ends.push(end);
    });
    for (const end of ends) end.to = this.#program.length;
  }

  #repeat(of: Node, min: number, max: number): void {
    for (let count = 0; count < min; count++) this.#compile(of);
    if (max === Number.POSITIVE_INFINITY) {
      const split = { kind: 'split' as const, first: 0, second: 0 };
      const at = this.#emit(split);
      split.first = at + 1;
      this.#compile(of);
      split.second = this.#emit({ kind: 'jump', to: at }) + 1;
      return;
    }
    const splits = [];
    for (let count = min; count < max; count++) {
      const split = { kind: 'split' as const, first: 0, second: 0 };
      split.first = this.#emit(split) + 1;
      splits.push(split);
      this.#compile(of);
    }
    for (const split of splits) split.second = this.#program.length;
  }
}

function holds(what: Assertion, afterWord: boolean | null, beforeWord: boolean | null): boolean {
  if (what === 'begin') return afterWord === null;
  if (what === 'end') return beforeWord === null;
  return ((afterWord ?? false) !== (beforeWord ?? false)) === (what === 'word');
}
