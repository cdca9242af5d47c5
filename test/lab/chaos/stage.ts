import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Laboratory, type MachineName } from '../laboratory.ts';
import { SERVICE_PORT, startPublisher, startServer, startSubscriber } from '../services/underpass.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { ROOT } from '../system/root.ts';
import type { SiteOptions } from '../topology/options.ts';
import { Ledger, type Teller } from './ledger.ts';
import { PathWatch } from './path-watch.ts';
import type { Said } from './traffic/said.ts';

export interface StageOptions {
  readonly seed: number;
  /** The subscriber's site, the publisher's. */
  readonly a: SiteOptions;
  readonly b: SiteOptions;
  readonly connections: number;
  /** 0: the tunnel carries no UDP at all. */
  readonly flows: number;
  /** Further arguments of publisher and subscriber. */
  readonly flags: readonly string[];
  readonly program: string | undefined;
}

/** Each way, at first. */
const LATENCY_MS = 20;
const START = 30_000;
/** Where the subscriber listens. */
const LOCAL_PORT = 8000;

/** A laboratory with server, publisher and subscriber, a service that is published, and a client that keeps using it. */
export class ChaosStage {
  readonly lab: Laboratory;
  readonly options: StageOptions;
  readonly ledger = new Ledger();
  readonly paths = { subscriber: new PathWatch(), publisher: new PathWatch() };
  /** Everything that was started, by what its output is kept as. */
  readonly #processes = new Map<string, LabProcess>();
  #servers = 0;

  static async build(options: StageOptions): Promise<ChaosStage> {
    const { a, b, seed } = options;
    const stage = new ChaosStage(await Laboratory.build({ a, b, seed, delay: { ms: LATENCY_MS } }), options);
    try {
      await stage.#start();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  private constructor(lab: Laboratory, options: StageOptions) {
    this.lab = lab;
    this.options = options;
  }

  /** A program that runs, or did. */
  process(name: 'server' | 'publisher' | 'subscriber' | 'client' | 'service'): LabProcess {
    const found = this.#processes.get(name === 'server' ? `server-${this.#servers}` : name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** A server on the same address, with the same files as the one before. */
  async startServer(): Promise<void> {
    const started = await startServer(this.lab, 2, this.options.program);
    this.#servers += 1;
    this.#processes.set(`server-${this.#servers}`, started);
  }

  /** Which of those has ended that must not, between events; with what it said last. */
  get deaths(): string[] {
    return (['server', 'publisher', 'subscriber', 'client', 'service'] as const).flatMap((name) => {
      const { over, stdout, stderr } = this.process(name);
      return over ? `the ${name} ended by itself: ${(stderr || stdout).slice(-500).trim()}` : [];
    });
  }

  /** Begins the traffic, and waits until all of it moves. Returns when that was. */
  async startTraffic(): Promise<number> {
    const { connections, flows, seed } = this.options;
    this.#traffic('client', 'a', [LOCAL_PORT, seed, connections, flows]);
    const begun = Date.now();
    await this.process('client').output(() => this.ledger.moves('tcp', begun) || undefined, START);
    return begun;
  }

  /** Ends all connections in order. Returns whether they did. */
  async finishTraffic(ms: number): Promise<boolean> {
    const client = this.process('client');
    if (client.over) return false;
    client.write('finish\n');
    let finished = true;
    await client.line('{"event":"finished"', ms).catch(() => {
      finished = false;
    });
    // The service has the last word about some.
    const told = Date.now();
    await this.process('service')
      .output(() => this.ledger.moves('tcp', told) || undefined, 5000)
      .catch(() => undefined);
    return finished;
  }

  /** Writes what every program has printed, a file each: the last mebibyte. */
  keepLogs(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const [name, { stdout, stderr }] of this.#processes) {
      writeFileSync(join(folder, `${name}.log`), stderr === '' ? stdout : `${stdout}\n--- stderr\n${stderr}`);
    }
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  async #start(): Promise<void> {
    const { program, flags, flows } = this.options;
    const tunnel = { program, flags, protocol: flows > 0 ? 'tcp+udp' : undefined } as const;
    this.#traffic('service', 'b', [SERVICE_PORT]);
    await Promise.all([this.startServer(), this.process('service').line('{"event":"ready"')]);
    const { subscriber: near, publisher: far } = this.paths;
    const publisher = await startPublisher(this.lab, 'b', { ...tunnel, onLine: (line) => far.hear(line) });
    this.#processes.set('publisher', publisher);
    const subscriber = startSubscriber(this.lab, 'a', {
      ...tunnel,
      port: LOCAL_PORT,
      onLine: (line) => near.hear(line),
    });
    this.#processes.set('subscriber', subscriber);
    await subscriber.output((stdout) => stdout.includes('"ready"') || undefined, START);
  }

  #traffic(name: Teller, machine: MachineName, args: readonly number[]): void {
    const onLine = (line: string) => {
      const said: Said = JSON.parse(line);
      this.ledger.hear(name, said);
    };
    const started = this.lab.spawn(machine, trafficProgram(name, args), { onLine });
    this.#processes.set(name, started);
  }
}

/** The command of one of the traffic programs, as `tsc -p test/lab` leaves them. */
export function trafficProgram(name: Teller, args: readonly number[]): [string, ...string[]] {
  const folder = join(ROOT, 'test', 'lab', 'dist', 'test', 'lab', 'chaos', 'traffic');
  return [process.execPath, join(folder, `${name}.js`), ...args.map(String)];
}
