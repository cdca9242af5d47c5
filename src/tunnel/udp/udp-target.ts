import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Instant } from '../../machine.ts';
import type { Runtime } from '../../net/runtime.ts';

/** How long an answer of the resolver, or its failure, is good for. Milliseconds. */
const FRESH = 30_000;
const FAILURE_FRESH = 1000;

/** A name may have many addresses; nobody waits for all of them. */
const MAX_ADDRESSES = 4;

/** Where a service may be that is on this machine: it often listens in one family only. */
const LOCALHOST: readonly string[] = ['127.0.0.1', '::1'];

export interface UdpTargetOptions {
  /** A name or an address. */
  readonly host: string;
  readonly port: number;
}

/** A local UDP service: its addresses, and which of them has answered. */
export class UdpTarget {
  readonly port: number;
  readonly #host: string;
  readonly #runtime: Runtime;
  readonly #onUnreachable: () => void;
  #addresses: readonly string[] = [];
  #staleAt: Instant = Number.NEGATIVE_INFINITY;
  #resolving: Promise<readonly string[]> | undefined;
  #answering: string | undefined;
  #told = false;

  /** @param onUnreachable it is not there; not again before it has answered */
  constructor({ host, port }: UdpTargetOptions, runtime: Runtime, onUnreachable: () => void) {
    this.#host = host;
    this.port = port;
    this.#runtime = runtime;
    this.#onUnreachable = onUnreachable;
  }

  /** Its addresses, the one to try first in front; none where the name is unknown. Never rejects. */
  async addresses(): Promise<readonly string[]> {
    if (this.#runtime.now() >= this.#staleAt) {
      this.#resolving ??= this.#resolve();
      await this.#resolving;
    }
    const first = this.#answering;
    if (first === undefined || !this.#addresses.includes(first)) return this.#addresses;
    return [first, ...this.#addresses.filter((address) => address !== first)];
  }

  /** Something has come from this address. */
  answered(address: string): void {
    this.#answering = address;
    this.#told = false;
  }

  /** None of its addresses takes anything. */
  unreachable(): void {
    if (this.#told) return;
    this.#told = true;
    this.#onUnreachable();
  }

  async #resolve(): Promise<readonly string[]> {
    const found = await resolve(this.#host);
    this.#resolving = undefined;
    this.#staleAt = this.#runtime.now() + (found === undefined ? FAILURE_FRESH : FRESH);
    // What was right half a minute ago is better than nothing.
    this.#addresses = found ?? this.#addresses;
    if (this.#addresses.length === 0) this.unreachable();
    return this.#addresses;
  }
}

async function resolve(host: string): Promise<readonly string[] | undefined> {
  if (isIP(host) !== 0) return [host];
  if (host === 'localhost') return LOCALHOST;
  try {
    const found = await lookup(host, { all: true });
    return found.slice(0, MAX_ADDRESSES).map(({ address }) => address);
  } catch {
    return undefined;
  }
}
