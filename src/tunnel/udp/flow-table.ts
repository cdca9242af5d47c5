import type { Instant, Machine } from '../../machine.ts';

/** One flow in a table. */
export interface FlowEntry<Key, Value> {
  readonly key: Key;
  readonly value: Value;
}

interface Node<Key, Value> extends FlowEntry<Key, Value> {
  lastSeen: Instant;
  /** Towards those that have been idle for longer. */
  before: Node<Key, Value> | undefined;
  after: Node<Key, Value> | undefined;
}

export interface FlowTableOptions {
  /** How long a flow stays after its last packet in either direction. Milliseconds. */
  readonly idle: number;
  /** Flows at a time: one more, and the longest idle goes. */
  readonly limit: number;
}

/**
 * Flows that end when they have been idle for long. Its output is those that are gone. In the order of their last packets, so
 * that a packet costs a few pointers, and who has to go is known without looking for it.
 */
export class FlowTable<Key, Value> implements Machine<FlowEntry<Key, Value>> {
  readonly #idle: number;
  readonly #limit: number;
  readonly #nodes = new Map<Key, Node<Key, Value>>();
  readonly #gone: FlowEntry<Key, Value>[] = [];
  #oldest: Node<Key, Value> | undefined;
  #newest: Node<Key, Value> | undefined;

  constructor({ idle, limit }: FlowTableOptions) {
    this.#idle = idle;
    this.#limit = limit;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** A packet of the flow passes: it stays. Undefined where there is no such flow. */
  touch(key: Key, now: Instant): Value | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    node.lastSeen = now;
    if (node !== this.#newest) {
      this.#unlink(node);
      this.#append(node);
    }
    return node.value;
  }

  /** The flow's first packet passes. One with the same key is gone. */
  add(key: Key, value: Value, now: Instant): void {
    this.remove(key);
    if (this.#nodes.size >= this.#limit) this.evict();
    const node = { key, value, lastSeen: now, before: undefined, after: undefined };
    this.#nodes.set(key, node);
    this.#append(node);
  }

  /** The flow is over. */
  remove(key: Key): void {
    const node = this.#nodes.get(key);
    if (node !== undefined) this.#remove(node);
  }

  /** The longest idle goes. False: there is none. */
  evict(): boolean {
    if (this.#oldest === undefined) return false;
    this.#remove(this.#oldest);
    return true;
  }

  /** All are gone. */
  clear(): void {
    while (this.evict());
  }

  pollOutput(): FlowEntry<Key, Value> | undefined {
    return this.#gone.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#oldest && this.#oldest.lastSeen + this.#idle;
  }

  handleTimeout(now: Instant): void {
    while (this.#oldest !== undefined && this.#oldest.lastSeen + this.#idle <= now)
      this.#remove(this.#oldest);
  }

  #remove(node: Node<Key, Value>): void {
    this.#nodes.delete(node.key);
    this.#unlink(node);
    this.#gone.push(node);
  }

  #unlink(node: Node<Key, Value>): void {
    if (node.before === undefined) this.#oldest = node.after;
    else node.before.after = node.after;
    if (node.after === undefined) this.#newest = node.before;
    else node.after.before = node.before;
    node.before = undefined;
    node.after = undefined;
  }

  #append(node: Node<Key, Value>): void {
    node.before = this.#newest;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.after = node;
    this.#newest = node;
  }
}
