import { asUnderpassError, type UnderpassError } from '../../errors.ts';
import type { Timer } from '../../net/runtime.ts';
import { earlyPorts, type LocalPlan, type PlannedPort, planPorts } from './local-plan.ts';
import { LocalPort, type LocalPortOptions, probeUdp } from './local-port.ts';
import type { OfferedPort, Transport } from './ports.ts';

/** Tries of a port that is taken, before it is left alone until the publisher offers again. */
const MAX_TRIES = 10;
/** The pause after the first of them, and the longest, milliseconds. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

export interface LocalPortsOptions extends LocalPortOptions {
  /** The tunnel's, for errors. */
  readonly name: string;
  readonly plan: LocalPlan;
  /** A port of a later offer cannot be opened; it is tried again. */
  readonly onTrouble: (error: UnderpassError) => void;
  /** One that could not be opened at first is open. */
  readonly onChange: () => void;
}

/** A port that is open here. */
export interface ListeningPort {
  /** The publisher's. */
  readonly port: number;
  readonly protocol: Transport;
  /** As `host:port`. */
  readonly listen: string;
}

/** All local ports of a subscriber: what the plan makes of what the publisher offers. */
export class LocalPorts {
  readonly #options: LocalPortsOptions;
  #ports: readonly LocalPort[] = [];
  readonly #retries = new Set<Timer>();
  /** One offer after the other. */
  #work: Promise<void> = Promise.resolve();
  /** An offer has been brought here. */
  #settled = false;
  #linked = false;
  #closed = false;

  constructor(options: LocalPortsOptions) {
    this.#options = options;
  }

  /** Opens what can be told before the publisher is there. Rejects with `port_in_use` or `listen_failed`. */
  async start(): Promise<void> {
    const { host, plan } = this.#options;
    for (const { transport, local } of earlyPorts(plan)) {
      if (this.#closed) return;
      if (transport === 'tcp') {
        const port = this.#add({ transport, local });
        await port.open();
      } else if (local !== 0) await probeUdp(host, local);
    }
  }

  /**
   * Opens what is offered, and closes what is no longer. Rejects with `ports_mismatch`, `port_in_use` or `listen_failed` where that is
   * impossible for the first offer; for a later one that is told as trouble.
   */
  offer(offered: readonly OfferedPort[]): Promise<void> {
    const work = this.#work.then(() => this.#reconcile(offered));
    this.#work = work.catch(() => undefined);
    return work;
  }

  /** What is open, in the order of the offered ports. */
  get listening(): readonly ListeningPort[] {
    return this.#ports.flatMap(({ wanted: { remote, transport: protocol }, listen }) =>
      remote === undefined || listen === undefined ? [] : [{ port: remote, protocol, listen }],
    );
  }

  /** The link is up: whoever waited is served, and whoever comes is served at once. */
  open(): void {
    this.#setLinked(true);
  }

  /** The link is down. */
  hold(): void {
    this.#setLinked(false);
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetries();
    for (const port of this.#ports) port.close();
    this.#ports = [];
  }

  async #reconcile(offered: readonly OfferedPort[]): Promise<void> {
    this.#cancelRetries();
    if (this.#closed) return;
    try {
      const { plan, name } = this.#options;
      this.#replace(planPorts(plan, offered, name));
    } catch (error) {
      this.#replace([]);
      this.#fail(asUnderpassError(error));
      return;
    }
    for (const port of this.#ports) {
      if (port.listen === undefined) await this.#tryToOpen(port);
    }
    this.#settled = true;
  }

  /** Keeps those that are wanted still, and closes the others before anything is opened in their place. */
  #replace(planned: readonly PlannedPort[]): void {
    const before = new Set(this.#ports);
    const kept = planned.map((wanted) => {
      const fitting = [...before].find((port) => port.fits(wanted));
      if (fitting !== undefined) before.delete(fitting);
      return { wanted, fitting };
    });
    for (const port of before) port.close();
    this.#ports = [];
    for (const { wanted, fitting } of kept) {
      if (fitting === undefined) this.#add(wanted);
      else {
        fitting.become(wanted);
        fitting.failures = 0;
        this.#ports = [...this.#ports, fitting];
      }
    }
  }

  #add(wanted: ConstructorParameters<typeof LocalPort>[1]): LocalPort {
    const port = new LocalPort(this.#options, wanted);
    port.linked = this.#linked;
    this.#ports = [...this.#ports, port];
    return port;
  }

  async #tryToOpen(port: LocalPort): Promise<boolean> {
    try {
      await port.open(this.#twinOf(port));
      return true;
    } catch (error) {
      this.#fail(asUnderpassError(error));
      const pause = Math.min(FIRST_PAUSE * 2 ** (port.failures - 1), LONGEST_PAUSE);
      if (port.failures < MAX_TRIES) this.#later(pause, port);
      return false;
    }
  }

  /** Where any port is good: the one that the same offered port has over TCP, because a game's friend types one number. */
  #twinOf(port: LocalPort): number {
    const { number } = port.wanted;
    const twin = this.#ports.find((other) => other !== port && other.wanted.number === number);
    return Number(/:(\d+)$/.exec(twin?.listen ?? '')?.[1] ?? 0);
  }

  #later(pause: number, port: LocalPort): void {
    const retry = this.#options.runtime.setTimer(pause, () => {
      this.#retries.delete(retry);
      this.#work = this.#work.then(async () => {
        if (this.#closed || !this.#ports.includes(port) || port.listen !== undefined) return;
        if (await this.#tryToOpen(port)) this.#options.onChange();
      });
    });
    this.#retries.add(retry);
  }

  #fail(error: UnderpassError): void {
    if (!this.#settled) throw error;
    if (!this.#closed) this.#options.onTrouble(error);
  }

  #setLinked(linked: boolean): void {
    this.#linked = linked;
    for (const port of this.#ports) port.linked = linked;
  }

  #cancelRetries(): void {
    for (const retry of this.#retries) retry.cancel();
    this.#retries.clear();
  }
}
