import type { NatVerdict } from '../../src/nat/behaviour.ts';
import { coneVerdict } from './verdict.ts';
import type { NatOptions } from './virtual-nat.ts';

/** One side's network: a NAT before it, perhaps another in front of that, or only a firewall, or nothing. */
export interface Place {
  readonly nat?: Partial<NatOptions>;
  readonly carrier?: Partial<NatOptions>;
  readonly firewall?: boolean;
  readonly ipv6?: boolean;
  /** What its discovery is taken to have found, where that is not what the NAT is. */
  readonly verdict?: Partial<NatVerdict>;
}

/** Of most homes; its ports are none of the ports inside, so that no mistake goes unnoticed. */
export const HOME_NAT: NatOptions = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  allocation: { pattern: 'random' },
  address: '',
};

/** What a discovery finds of a place. */
export function verdictAt({ nat, carrier, firewall, ipv6, verdict }: Place): NatVerdict {
  const { mapping, filtering, allocation, poisonable = false, hairpin = false } = { ...HOME_NAT, ...nat };
  const wall = firewall ? 'address-and-port-dependent' : 'none';
  const range =
    allocation.pattern === 'block' && ([allocation.first, allocation.first + allocation.size - 1] as const);
  const filter = nat ? filtering : wall;
  return {
    ...coneVerdict,
    mapping: nat ? mapping : 'none',
    filtering: filter,
    allocation: {
      pattern: allocation.pattern,
      step: allocation.pattern === 'sequential' ? allocation.step : null,
      range: range || null,
    },
    poisonable,
    hairpin,
    arming_ttl: filter === 'none' || filter === 'endpoint-independent' ? null : carrier ? 3 : 2,
    ipv6: ipv6 ?? false,
    ...verdict,
  };
}
