import { readFileSync } from 'node:fs';
import { Laboratory } from '../../test/lab/laboratory.ts';
import { SERVICE_PORT } from '../../test/lab/services/underpass.ts';
import { obstacle } from '../../test/lab/system/capability.ts';
import { carry } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { startLabTunnel } from '../processes/lab-tunnel.ts';
import type { Path } from '../processes/path.ts';
import { atLeast } from '../report/figure.ts';
import { printLine } from '../report/print.ts';
import type { Measurement } from './measurement.ts';

const RATE = 200;
const ONE_WAY = 20;
/** The queue holds what is under way: one product of bandwidth and delay. */
const DELAY = { ms: ONE_WAY, lossPercent: 1, megabitsPerSecond: RATE, queueMs: 2 * ONE_WAY };
const DURATION = 30_000;
const MEGABITS_PER_MIB = (8 * 1024 * 1024) / 1e6;

export const lossy: Measurement = {
  title: `${RATE} Mbit/s, ${2 * ONE_WAY} ms there and back, 1 % lost each way: a direct path, beside a TCP connection of the kernel`,

  async *run(stage, quick) {
    const problem = obstacle();
    if (problem !== undefined) {
      printLine(`  left out: ${problem}`);
      return;
    }
    const lab = await Laboratory.build({ seed: 1, a: { kind: 'open' }, b: { kind: 'open' }, delay: DELAY });
    try {
      const load = await startLoad(stage, {
        client: lab.namespace('a'),
        service: lab.namespace('b'),
        at: { host: '0.0.0.0', port: SERVICE_PORT },
      });
      const tcp = { name: 'TCP', host: lab.site('b').hostAddress, port: SERVICE_PORT, participants: [] };
      const tunnel = await startLabTunnel(lab, 'direct');
      const [kernel = Number.NaN, ours = Number.NaN] = await speeds([tcp, tunnel]);
      yield {
        what: `down, beside TCP (${congestionControl()})`,
        unit: 'Mbit/s',
        subject: ours,
        yardstick: kernel,
        compared: { ...only(ours / RATE), unit: 'of the rate' },
        targets: [atLeast(0.6), atLeast(0.8, 'aim')],
      };

      async function speeds(paths: readonly Path[]): Promise<number[]> {
        const found: number[] = [];
        for (const path of paths) {
          const { speed } = await carry(load, path, 'down', quick ? DURATION / 5 : DURATION);
          found.push(speed * MEGABITS_PER_MIB);
        }
        return found;
      }
    } finally {
      // First, or the laboratory would end them.
      stage.close();
      await lab.close();
    }
  },
};

/** Of the kernel's TCP, in new network namespaces too. */
function congestionControl(): string {
  return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
}

const only = (value: number) => ({ median: value, least: value, most: value });
