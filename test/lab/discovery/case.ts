import type { NatReport } from '../../../src/nat/report.ts';
import { NAT_KIND_NAMES, type NatKindName } from '../kinds/nat-kinds.ts';
import { Laboratory } from '../laboratory.ts';
import { discoverNat, startServer } from '../services/underpass.ts';
import type { LaboratoryOptions } from '../topology/options.ts';
import type { Site } from '../topology/site.ts';

/** A network that discovery is tried in. */
export interface DiscoveryCase {
  readonly name: string;
  readonly scenario: LaboratoryOptions;
  /** How many addresses the server answers STUN on; two by default. */
  readonly stunAddresses?: 1;
  /** Flows a second that a neighbour behind the same NAT opens meanwhile. */
  readonly burn?: number;
}

export interface Discovered {
  readonly site: Site;
  readonly seed: number;
  readonly report: NatReport;
}

const FAR = { ms: 20, lossPercent: 5 };

/** Every kind by itself, and then what makes it harder. */
export const DISCOVERY_CASES: readonly DiscoveryCase[] = [
  ...NAT_KIND_NAMES.map((kind) => plain(kind)),
  { name: 'full-cone, hairpin', scenario: { a: { kind: 'full-cone', hairpin: true } } },
  { name: 'port-restricted, hairpin', scenario: { a: { kind: 'port-restricted', hairpin: true } } },
  { name: 'port-restricted, IGD', scenario: { a: { kind: 'port-restricted', igd: true } } },
  { name: 'sequential, IGD', scenario: { a: { kind: 'sequential', igd: true } } },
  ...(['port-restricted', 'address-dependent', 'sequential', 'block'] as const).map((kind) => ({
    name: `${kind}, 20 ms, 5 % loss`,
    scenario: { a: { kind }, delay: FAR },
  })),
  ...(['port-restricted', 'sequential', 'sequential-jittered'] as const).map((kind) => ({
    ...plain(kind, ', 200 flows/s'),
    burn: 200,
  })),
  ...(['port-restricted', 'sequential', 'random'] as const).map((kind) => ({
    ...plain(kind, ', one address'),
    stunAddresses: 1 as const,
  })),
  behind('port-restricted', 'full-cone'),
  behind('full-cone', 'port-restricted'),
  behind('port-restricted', 'random'),
  behind('sequential', 'port-restricted'),
  behind('port-restricted', 'sequential'),
  behind('address-restricted', 'port-restricted-poisonable'),
  {
    name: 'port-restricted, IGD, behind port-restricted',
    scenario: { a: { kind: 'port-restricted', carrier: 'port-restricted', igd: true } },
  },
  { name: 'port-restricted, IPv6', scenario: { a: { kind: 'port-restricted' }, ipv6: 'firewalled' } },
  { name: 'open, IPv6', scenario: { a: { kind: 'open' }, ipv6: 'open' } },
];

/** Runs the real server and the real `underpass nat`. */
export async function tryCase(each: DiscoveryCase, seed: number, program?: string): Promise<Discovered> {
  const lab = await Laboratory.build({ ...each.scenario, seed });
  try {
    await startServer(lab, each.stunAddresses, program);
    if (each.burn) await lab.burn('a', each.burn);
    return { site: lab.site('a'), seed, report: await discover(lab, program) };
  } finally {
    await lab.close();
  }
}

/**
 * The server is asked over TCP, which sends again after a second what was lost at first, and that is too late for a program that
 * is to answer within two. So where packets are lost, one that could not reach the server is run again, twice at most.
 */
async function discover(lab: Laboratory, program: string | undefined): Promise<NatReport> {
  let attempts = lab.options.delay?.lossPercent ? 3 : 1;
  while (true) {
    try {
      return await discoverNat(lab, 'a', program);
    } catch (error) {
      attempts -= 1;
      if (attempts === 0 || !(error as Error).message.includes('server_unreachable')) throw error;
    }
  }
}

function plain(kind: NatKindName, remark = ''): DiscoveryCase {
  return { name: kind + remark, scenario: { a: { kind } } };
}

function behind(kind: NatKindName, carrier: NatKindName): DiscoveryCase {
  return { name: `${kind} behind ${carrier}`, scenario: { a: { kind, carrier } } };
}
