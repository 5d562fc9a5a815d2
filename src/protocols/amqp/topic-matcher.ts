/**
 * Topic bindings in a trie of words: `*` is exactly one word, `#` any number of words, none
 * included. A key is followed through the trie as a set of nodes, so that no pattern, however many
 * `#` it has, costs more than words times nodes.
 */
import type { Table } from './field-table.ts';
import type { Matchable, Matcher } from './matchers.ts';

class Node<B> {
  readonly children = new Map<string, Node<B>>();
  readonly bindings = new Set<B>();
  /** The word that leads here from the parent. */
  readonly word: string;
  readonly parent: Node<B> | null;

  constructor(word: string, parent: Node<B> | null) {
    this.word = word;
    this.parent = parent;
  }
}

export class TopicMatcher<B extends Matchable> implements Matcher<B> {
  readonly #root = new Node<B>('', null);

  add(binding: B): void {
    let node = this.#root;
    for (const word of binding.key.split('.')) {
      let next = node.children.get(word);
      if (next === undefined) {
        next = new Node(word, node);
        node.children.set(word, next);
      }
      node = next;
    }
    node.bindings.add(binding);
  }

  remove(binding: B): void {
    let node: Node<B> | null | undefined = this.#root;
    for (const word of binding.key.split('.')) node = node?.children.get(word);
    node?.bindings.delete(binding);
    while (node?.parent && node.bindings.size === 0 && node.children.size === 0) {
      node.parent.children.delete(node.word);
      node = node.parent;
    }
  }

  match(key: string, _headers: Table, found: Set<B>): void {
    let nodes = new Set<Node<B>>();
    enter(this.#root, nodes);
    for (const word of key.split('.')) {
      const next = new Set<Node<B>>();
      for (const node of nodes) {
        // A `#` may take this word too and stay where it is.
        if (node.word === '#' && node.parent !== null) enter(node, next);
        // A key's own word `#` or `*` is an ordinary word and finds those nodes as wildcards
        // anyway.
        const exact = word === '#' ? undefined : node.children.get(word);
        if (exact !== undefined) enter(exact, next);
        const one = node.children.get('*');
        if (one !== undefined) enter(one, next);
      }
      if (next.size === 0) return;
      nodes = next;
    }
    for (const node of nodes) for (const binding of node.bindings) found.add(binding);
  }
}

/** A node is reached together with the `#` below it, which may stand for no word at all. */
function enter<B>(node: Node<B>, into: Set<Node<B>>): void {
  for (let at: Node<B> | undefined = node; at !== undefined && !into.has(at); ) {
    into.add(at);
    at = at.children.get('#');
  }
}
