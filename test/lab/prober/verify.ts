import { Laboratory } from '../laboratory.ts';
import { startCoturn } from '../services/coturn.ts';
import type { LaboratoryOptions, SiteOptions } from '../topology/options.ts';
import { checkWithConntrack } from './allocation.ts';
import type { Check } from './check.ts';
import { checkWithNatDiscovery } from './nat-discovery.ts';
import { checkPoison } from './poison.ts';
import { checkWithStunClient } from './stun-client.ts';

/** Builds a site and checks with probers that are not ours that it is what it claims. Takes some seven seconds, most of them waiting. */
export async function verify(
  site: SiteOptions,
  options: Omit<LaboratoryOptions, 'a'> = {},
): Promise<Check[]> {
  const lab = await Laboratory.build({ ...options, a: site });
  try {
    await startCoturn(lab);
    // Ports first, and alone: the other probers open flows of their own.
    const ports = await checkWithConntrack(lab, 'a');
    const poison = await checkPoison(lab, 'a');
    const [stunClient, natDiscovery] = await Promise.all([
      checkWithStunClient(lab, 'a'),
      checkWithNatDiscovery(lab, 'a'),
    ]);
    return [stunClient, ...natDiscovery, ...ports, ...poison];
  } finally {
    await lab.close();
  }
}
