import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../support/random.ts';
import { renderFlush } from './rules/nftables.ts';
import { Addresses } from './services/addresses.ts';
import { Burner } from './services/burner.ts';
import { Delays } from './services/delay.ts';
import { Igd } from './services/igd.ts';
import { type Ended, LabProcess, type SpawnOptions } from './system/lab-process.ts';
import { removeLeftovers } from './system/leftovers.ts';
import { createNamespaces, inside, namespacesThat, removeNamespaces } from './system/namespaces.ts';
import { newPrefix } from './system/owner.ts';
import { SITE_NAMES, type SiteName } from './topology/addresses.ts';
import type { Delay, LaboratoryOptions, SiteOptions } from './topology/options.ts';
import { type Plan, planLaboratory } from './topology/plan.ts';
import { drawSite, type RouterName, type Site } from './topology/site.ts';

/** Where a program can run: two hosts at each site, the server, and what lies between. */
export type MachineName = SiteName | `${SiteName}2` | 'server' | 'core' | RouterName;

const SOMEBODY: SiteOptions = { kind: 'open' };

const standing = new Set<Laboratory>();
process.on('exit', () => {
  for (const lab of standing) lab.remove();
});

/** Two sites behind NATs of chosen kinds, a core and a server, made of network namespaces. */
export class Laboratory {
  readonly options: LaboratoryOptions;
  readonly seed: number;
  readonly sites: readonly Site[];
  readonly #plan: Plan;
  readonly #prefix = newPrefix();
  readonly #delays = new Delays(this);
  readonly #addresses = new Addresses(this);
  readonly #burners = new Map<SiteName, Burner>();
  readonly #igds = new Map<SiteName, Igd>();
  readonly #processes = new Set<LabProcess>();

  /** Builds one, and removes those whose process is dead. Needs what `obstacle()` looks for. */
  static async build(options: LaboratoryOptions): Promise<Laboratory> {
    removeLeftovers();
    const lab = new Laboratory(options);
    try {
      await lab.#build();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private constructor(options: LaboratoryOptions) {
    this.options = options;
    this.seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
    this.sites = SITE_NAMES.map((name, index) => {
      // Each site draws from its own: what one is does not change the other.
      const random = new Random(this.seed * SITE_NAMES.length + index);
      return drawSite(name, options[name] ?? SOMEBODY, random, options.sameLan ?? false);
    });
    this.#plan = planLaboratory(options, this.sites);
  }

  site(name: SiteName): Site {
    const site = this.sites.find((candidate) => candidate.name === name);
    if (site === undefined) throw new Error(`there is no site ${name}`);
    return site;
  }

  /** Whether this laboratory has such a machine: not every site has a carrier. */
  has(machine: string): machine is MachineName {
    return this.#plan.setups.has(machine);
  }

  /** The network namespace of a machine, for `ip netns`. */
  namespace(machine: MachineName): string {
    if (!this.has(machine)) throw new Error(`this laboratory has no ${machine}`);
    return this.#prefix + machine;
  }

  /** Starts a program on a machine. It is killed at the latest when the laboratory closes. */
  spawn(machine: MachineName, argv: readonly string[], options?: SpawnOptions): LabProcess {
    const started = new LabProcess(inside(this.namespace(machine), argv), options);
    this.#processes.add(started);
    void started.ended.then(() => this.#processes.delete(started));
    return started;
  }

  /** Runs a program on a machine to its end. */
  run(machine: MachineName, argv: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
    return this.spawn(machine, argv, { input: '', ...options }).ended;
  }

  /** The standard output of a program that has to succeed. */
  async check(machine: MachineName, argv: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.run(machine, argv, { input });
    if (code !== 0) {
      throw new Error(`on ${machine}, '${argv.join(' ')}' failed with ${code}: ${stderr || stdout}`);
    }
    return stdout;
  }

  /** Sets latency, jitter, loss and rate of the core, also while traffic is flowing. */
  setDelay(delay: Delay): Promise<void> {
    return this.#delays.set(delay);
  }

  /** From now on, the second host of a site opens so many flows a second; 0 for none. */
  burn(site: SiteName, flowsPerSecond: number): Promise<void> {
    const burner = this.#burners.get(site) ?? new Burner(this, site);
    this.#burners.set(site, burner);
    return burner.rate(flowsPerSecond);
  }

  /** Makes a site's routers forget all mappings, as when they restart. Counters go on where they were. */
  async flush(site: SiteName): Promise<void> {
    for (const { name: router } of this.site(site).routers) {
      const sets = renderFlush(this.#plan.setups.get(router)?.tables ?? []);
      await this.check(router, ['nft', '-f', '-'], sets);
      await this.check(router, ['conntrack', '-F']);
    }
  }

  /** Gives the first host of a site another number in its LAN, while everything runs. */
  changeHostAddress(site: SiteName, number: number): Promise<void> {
    return this.#addresses.changeHost(site, number);
  }

  /** Gives the outermost router of a site another number in its public network. It must translate, and speak no IGD. */
  changePublicAddress(site: SiteName, number: number): Promise<void> {
    const outermost = this.site(site).routers.at(-1)?.name ?? '';
    return this.#addresses.changeRouter(site, number, this.#plan.setups.get(outermost)?.tables ?? []);
  }

  /** The port mapping service of a site that was built with one; it runs from the start. */
  igd(site: SiteName): Igd {
    const igd = this.#igds.get(site);
    if (igd === undefined) throw new Error(`the router of ${site} was built without one`);
    return igd;
  }

  /** A folder for somebody's files, which goes with the laboratory. */
  folder(name: string): string {
    const folder = join(tmpdir(), `${this.#prefix}files`, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** Kills whatever runs in the laboratory, and removes it. */
  async close(): Promise<void> {
    standing.delete(this);
    const ending = [...this.#processes].map((each) => each.ended);
    this.remove();
    await Promise.all(ending);
  }

  async #build(): Promise<void> {
    standing.add(this);
    const { setups, cables } = this.#plan;
    const named = cables.map(
      ([one, other]) =>
        [
          { ...one, namespace: this.#prefix + one.namespace },
          { ...other, namespace: this.#prefix + other.namespace },
        ] as const,
    );
    createNamespaces(
      [...setups.keys()].map((machine) => this.#prefix + machine),
      named,
    );
    await Promise.all(
      [...setups].map(([machine, { script }]) => this.check(machine as MachineName, ['sh', '-eu'], script)),
    );
    for (const { name } of this.sites.filter((site) => site.options.igd)) {
      this.#igds.set(name, new Igd(this, name));
      await this.igd(name).start();
    }
    if (this.options.delay) await this.setDelay(this.options.delay);
  }

  /** As `close`, without waiting: for the exit of this process. */
  remove(): void {
    for (const each of this.#processes) each.kill('SIGKILL');
    removeNamespaces(namespacesThat((name) => name.startsWith(this.#prefix)));
    rmSync(join(tmpdir(), `${this.#prefix}files`), { recursive: true, force: true });
  }
}
