interface Node<Value> {
  children: Map<string, Node<Value>> | undefined;
  /** Under `+`. */
  any: Node<Value> | undefined;
  /** Of filters that end here. */
  here: Set<Value> | undefined;
  /** Of filters that end here with `#`. */
  below: Set<Value> | undefined;
}

/**
 * Values under topic filters, found by topic: the time goes by the levels of the topic and what matches, not by how many
 * filters there are. Takes any strings; filters are not checked (`isTopicFilter`), `#` counts as the last level only.
 */
export class TopicTree<Value> {
  readonly #root: Node<Value> = emptyNode();
  #size = 0;

  /** Pairs of filter and value. */
  get size(): number {
    return this.#size;
  }

  /** False if this value stands under this filter already. */
  add(filter: string, value: Value): boolean {
    let node = this.#root;
    const levels = filter.split('/');
    const last = levels.length - 1;
    const ends = levels[last] === '#' ? 'below' : 'here';
    if (ends === 'below') levels.pop();
    for (const level of levels) node = childOf(node, level);
    node[ends] ??= new Set();
    if (node[ends].has(value)) return false;
    node[ends].add(value);
    this.#size += 1;
    return true;
  }

  /** False if it did not stand there. */
  remove(filter: string, value: Value): boolean {
    const levels = filter.split('/');
    const ends = levels.at(-1) === '#' ? 'below' : 'here';
    if (ends === 'below') levels.pop();
    const path = [this.#root];
    for (const level of levels) {
      const node = path.at(-1);
      const child = level === '+' ? node?.any : node?.children?.get(level);
      if (!child) return false;
      path.push(child);
    }
    const node = path.at(-1);
    if (!node?.[ends]?.delete(value)) return false;
    if (node[ends].size === 0) node[ends] = undefined;
    this.#size -= 1;
    prune(path, levels);
    return true;
  }

  /**
   * The values of all filters that take the topic (MQTT 5, section 4.7: a leading wildcard takes no `$` topic). A value
   * comes once for each of its filters.
   */
  match(topic: string): Value[] {
    const found: Value[] = [];
    if (this.#size === 0) return found;
    let isFirst = true;
    let nodes: Node<Value>[] = [this.#root];
    // Level by level, so that depth costs no stack.
    for (const level of topic.split('/')) {
      const wild = !(isFirst && topic.startsWith('$'));
      const next: Node<Value>[] = [];
      for (const node of nodes) {
        if (wild) gather(node.below, found);
        const child = node.children?.get(level);
        if (child) next.push(child);
        if (wild && node.any) next.push(node.any);
      }
      if (next.length === 0) return found;
      nodes = next;
      isFirst = false;
    }
    for (const { here, below } of nodes) {
      gather(here, found);
      gather(below, found);
    }
    return found;
  }
}

/** One by one: there may be more than a call takes arguments. */
function gather<Value>(values: ReadonlySet<Value> | undefined, found: Value[]): void {
  if (values) for (const value of values) found.push(value);
}

function emptyNode<Value>(): Node<Value> {
  return { children: undefined, any: undefined, here: undefined, below: undefined };
}

function childOf<Value>(node: Node<Value>, level: string): Node<Value> {
  if (level === '+') {
    node.any ??= emptyNode();
    return node.any;
  }
  node.children ??= new Map();
  const known = node.children.get(level);
  if (known) return known;
  const child: Node<Value> = emptyNode();
  node.children.set(level, child);
  return child;
}

/** Takes off what holds nothing any more, from the end of the path up. */
function prune<Value>(path: readonly Node<Value>[], levels: readonly string[]): void {
  for (let at = path.length - 1; at > 0; at -= 1) {
    const node = path[at];
    const parent = path[at - 1];
    const level = levels[at - 1];
    if (!node || !parent || level === undefined || isHeld(node)) return;
    if (level === '+') parent.any = undefined;
    else parent.children?.delete(level);
    if (parent.children?.size === 0) parent.children = undefined;
  }
}

function isHeld({ children, any, here, below }: Node<unknown>): boolean {
  return children !== undefined || any !== undefined || here !== undefined || below !== undefined;
}
