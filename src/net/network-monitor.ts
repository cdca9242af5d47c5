import type { Instant } from '../machine.ts';
import type { Endpoint } from './endpoint.ts';
import { localInterfaces } from './interfaces.ts';
import { localAddressTowards } from './route.ts';
import type { Runtime, Timer } from './runtime.ts';

/** What is compared. */
export interface NetworkSnapshot {
  /** Equal texts mean that nothing changed. */
  readonly interfaces: string;
  /** The local address that leads to each destination, empty for none. Only destinations of both snapshots are compared. */
  readonly routes: ReadonlyMap<string, string>;
}

export type NetworkChange = 'interfaces' | 'route' | 'sleep';

export interface NetworkMonitorOptions {
  readonly runtime: Runtime;
  readonly snapshot: () => Promise<NetworkSnapshot>;
  /** The time of day in milliseconds: unlike the monotonic clock's, its hands move during sleep on every system. */
  readonly wallClock: () => number;
}

/** All in milliseconds. How often to look, and how long the network must stay as it is to have settled. */
const INTERVAL = 5000;
const SETTLE = 1000;
/** A network that keeps changing is reported after so many looks all the same. */
const MAX_LOOKS = 10;
/** Longest wait for a snapshot. */
const SNAPSHOT_LIMIT = 2000;
/** A look that is later than this was not held up by load: the machine slept. */
const SLEEP = 10_000;

/**
 * Notices that the machine has moved to another network or slept, by looking every few seconds: no system tells Node. A change
 * in several steps, as when DHCP renumbers an interface, is one change, reported when it is over, with its first reason.
 */
export class NetworkMonitor {
  readonly #options: NetworkMonitorOptions;
  readonly #onChange: (reason: NetworkChange) => void;
  /** The one timer: until the next look, or for the snapshot that is being taken. */
  #timer: Timer | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';
  /** A snapshot has not come back; until it does, no other is asked for. */
  #busy = false;
  #last: NetworkSnapshot | undefined;
  #change: NetworkChange | undefined;
  #looks = 0;
  #due: { monotonic: Instant; wall: number };

  constructor(options: NetworkMonitorOptions, onChange: (reason: NetworkChange) => void) {
    this.#options = options;
    this.#onChange = onChange;
    this.#due = this.#clocks();
  }

  /** Takes the network as it is now for normal, and watches from there. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#due = this.#clocks();
    this.#look();
  }

  /** Something speaks for another network: looks at once. */
  doubt(): void {
    if (this.#state !== 'running' || this.#busy || this.#change !== undefined) return;
    this.#timer?.cancel();
    this.#look();
  }

  /** Nothing is reported after this; for good. */
  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
  }

  #look(): void {
    const slept = this.#overslept();
    this.#takeSnapshot((seen) => {
      const change = slept ? 'sleep' : difference(this.#last, seen);
      this.#last = seen ?? this.#last;
      this.#settle(change);
    });
  }

  #settle(change: NetworkChange | undefined): void {
    if (change !== undefined) this.#looks = this.#change === undefined ? 1 : this.#looks + 1;
    this.#change ??= change;
    const reason = change === undefined || this.#looks >= MAX_LOOKS ? this.#change : undefined;
    if (reason !== undefined) this.#change = undefined;
    this.#lookAfter(this.#change === undefined ? INTERVAL : SETTLE);
    if (reason !== undefined) this.#onChange(reason);
  }

  #lookAfter(delay: number): void {
    const { monotonic, wall } = this.#clocks();
    this.#due = { monotonic: monotonic + delay, wall: wall + delay };
    this.#timer = this.#options.runtime.setTimer(delay, () => this.#look());
  }

  /** Calls back once, with undefined when it fails, takes too long, or when the one before is still being taken. */
  #takeSnapshot(callback: (seen: NetworkSnapshot | undefined) => void): void {
    let waiting = true;
    const finish = (seen: NetworkSnapshot | undefined) => {
      if (!waiting) return;
      waiting = false;
      this.#timer?.cancel();
      if (this.#state === 'running') callback(seen);
    };
    if (this.#busy) {
      finish(undefined);
      return;
    }
    this.#busy = true;
    this.#timer = this.#options.runtime.setTimer(SNAPSHOT_LIMIT, () => finish(undefined));
    void new Promise<NetworkSnapshot>((resolve) => resolve(this.#options.snapshot()))
      .catch(() => undefined)
      .then((seen) => {
        this.#busy = false;
        finish(seen);
      });
  }

  /** Linux's monotonic clock stands still during sleep, Windows' does not; the time of day can be set: either will do. */
  #overslept(): boolean {
    const { monotonic, wall } = this.#clocks();
    return monotonic - this.#due.monotonic > SLEEP || wall - this.#due.wall > SLEEP;
  }

  #clocks(): { monotonic: Instant; wall: number } {
    return { monotonic: this.#options.runtime.now(), wall: this.#options.wallClock() };
  }
}

/** What to watch on a real machine: addresses that are no dead ends, and which of them leads to each destination. */
export async function networkSnapshot(destinations: readonly Endpoint[]): Promise<NetworkSnapshot> {
  const usable = localInterfaces().filter(({ deadEnd }) => !deadEnd);
  const texts = usable.map(({ name, address, prefixLength }) => `${name} ${address}/${prefixLength}`);
  const routes = await Promise.all(
    destinations.map(async (to) => [to.address, (await localAddressTowards(to)) ?? ''] as const),
  );
  return { interfaces: texts.sort().join('\n'), routes: new Map(routes) };
}

function difference(
  before: NetworkSnapshot | undefined,
  after: NetworkSnapshot | undefined,
): NetworkChange | undefined {
  if (before === undefined || after === undefined) return undefined;
  if (before.interfaces !== after.interfaces) return 'interfaces';
  const moved = [...after.routes].some(([to, address]) => (before.routes.get(to) ?? address) !== address);
  return moved ? 'route' : undefined;
}
