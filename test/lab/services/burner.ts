import type { Laboratory } from '../laboratory.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { script } from '../system/root.ts';
import { SINK, type SiteName } from '../topology/addresses.ts';

/** A neighbour: a site's second host, which opens new UDP flows all the time. */
export class Burner {
  readonly #process: LabProcess;

  constructor(lab: Laboratory, site: SiteName) {
    this.#process = lab.spawn(`${site}2`, ['python3', script('services/burner.py'), SINK]);
  }

  /** From now on, so many flows a second; 0 for a pause. */
  async rate(perSecond: number): Promise<void> {
    const said = this.#process.stdout.length;
    this.#process.write(`${perSecond}\n`);
    await this.#process.output((stdout) => stdout.slice(said).includes('burning') || undefined);
  }
}
