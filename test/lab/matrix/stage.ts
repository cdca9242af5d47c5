import { Laboratory } from '../laboratory.ts';
import { describeAllocation } from '../prober/allocation.ts';
import { Dialler, startEcho } from '../services/echo.ts';
import { SERVICE_PORT, startServer } from '../services/underpass.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { SITE_NAMES } from '../topology/addresses.ts';
import { BURN, type MatrixCase } from './case.ts';

/** What the runs of one case share: a laboratory with a server, an echo service beside the publisher, and who calls it. */
export class Stage {
  readonly lab: Laboratory;
  readonly case: MatrixCase;
  readonly dialler: Dialler;
  readonly program: string | undefined;
  #server: LabProcess;

  static async build(each: MatrixCase, seed: number, program?: string): Promise<Stage> {
    const lab = await Laboratory.build({ ...each.scenario, seed });
    try {
      const [server] = await Promise.all([
        startServer(lab, 2, program),
        startEcho(lab, each.publisher, SERVICE_PORT),
      ]);
      for (const site of each.burn) await lab.burn(site, BURN);
      return new Stage(lab, each, server, program);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  private constructor(lab: Laboratory, each: MatrixCase, server: LabProcess, program: string | undefined) {
    this.lab = lab;
    this.case = each;
    this.dialler = new Dialler(lab, 'a');
    this.program = program;
    this.#server = server;
  }

  /** What the NATs at hand do with ports. */
  get sites(): string[] {
    return this.lab.sites.map(({ name, expected }) => `${name}: ${describeAllocation(expected.allocation)}`);
  }

  /** Makes the routers forget every mapping, so that no run profits or suffers from the one before. */
  async forget(): Promise<void> {
    for (const site of SITE_NAMES) await this.lab.flush(site);
  }

  /** Another server: one makes a public address wait for a minute after a search through ports that found nothing. */
  async renewServer(): Promise<void> {
    this.#server.kill();
    await this.#server.ended;
    this.#server = await startServer(this.lab, 2, this.program);
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}
