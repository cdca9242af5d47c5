import { Laboratory } from '../laboratory.ts';
import { describeAllocation } from '../prober/allocation.ts';
import { startCoturn } from '../services/coturn.ts';
import { SITE_NAMES } from '../topology/addresses.ts';
import type { Site } from '../topology/site.ts';
import { parseRun, UsageError } from './options.ts';

/** `lab run …`: builds a scenario, runs a program in it on this terminal, and ends as the program does. */
export async function run(args: readonly string[]): Promise<number> {
  const { scenario, burn, coturn, machine, argv } = parseRun(args);
  const lab = await Laboratory.build(scenario);
  try {
    if (!lab.has(machine)) throw new UsageError(`this laboratory has no ${machine}`);
    if (coturn) await startCoturn(lab);
    for (const site of SITE_NAMES.filter((name) => burn[name] > 0)) await lab.burn(site, burn[site]);
    const namespace = lab.namespace(machine);
    const sites = lab.sites.map(describe).join('; ');
    process.stderr.write(`seed ${lab.seed}; ${sites}\nanother program: ip netns exec ${namespace} …\n`);
    const { code } = await lab.spawn(machine, argv, { stdio: 'inherit' }).ended;
    return code;
  } finally {
    await lab.close();
  }
}

function describe({ name, options, expected, publicAddress }: Site): string {
  const kind = options.carrier ? `${options.kind} behind ${options.carrier}` : options.kind;
  return `${name} is ${kind} (ports ${describeAllocation(expected.allocation)}, seen as ${publicAddress})`;
}
