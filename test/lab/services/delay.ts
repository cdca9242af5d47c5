import type { Laboratory } from '../laboratory.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { script } from '../system/root.ts';
import type { Delay } from '../topology/options.ts';

const UPLINKS = ['a', 'b', 'server'] as const;
/** Numbers of the core's routing tables, one for each uplink. */
const FIRST_TABLE = 101;

/** Latency, jitter, loss and rate in the core. */
export class Delays {
  readonly #lab: Laboratory;
  #forwarder: LabProcess | undefined;

  constructor(lab: Laboratory) {
    this.#lab = lab;
  }

  /** Holds from the next packet on. */
  async set(delay: Delay): Promise<void> {
    const { ms, jitterMs = 0, lossPercent = 0, megabitsPerSecond = 0, queueMs = 100 } = delay;
    const bytesPerSecond = (megabitsPerSecond * 1e6) / 8;
    const first = this.#forwarder === undefined;
    this.#forwarder ??= this.#start();
    const forwarder = this.#forwarder;
    const before = configured(forwarder.stdout);
    forwarder.write(`${ms} ${jitterMs} ${lossPercent} ${bytesPerSecond} ${queueMs}\n`);
    await forwarder.output((stdout) => configured(stdout) > before || undefined);
    if (first) await this.#divert();
  }

  #start(): LabProcess {
    const devices = UPLINKS.map((name) => `hold-${name}`);
    return this.#lab.spawn('core', [
      'python3',
      script('services/forwarder.py'),
      String(this.#lab.seed),
      ...devices,
    ]);
  }

  /** Sends what arrives on an uplink into its device; what comes back from there is routed as usual. */
  async #divert(): Promise<void> {
    const families = this.#lab.options.ipv6 ? ['-4', '-6'] : ['-4'];
    const links = UPLINKS.map((name) => `link set hold-${name} txqueuelen 5000 up`);
    const routes = UPLINKS.flatMap((name, index) => [
      `route add default dev hold-${name} table ${FIRST_TABLE + index}`,
      `rule add iif to-${name} lookup ${FIRST_TABLE + index}`,
    ]);
    await this.#lab.check('core', ['ip', '-batch', '-'], links.join('\n'));
    for (const family of families) {
      await this.#lab.check('core', ['ip', family, '-batch', '-'], routes.join('\n'));
    }
  }
}

function configured(stdout: string): number {
  return stdout.split('configured\n').length - 1;
}
