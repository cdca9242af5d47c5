import type { Behaviour } from '../../../src/nat/behaviour.ts';
import type { Laboratory } from '../laboratory.ts';
import { SERVER_ADDRESSES, type SiteName } from '../topology/addresses.ts';
import { type Check, compare } from './check.ts';

/**
 * coturn's `turnutils_natdiscovery` (RFC 5780) against coturn. It tells all mappings and filters apart, but not whether there
 * is a NAT at all. Of a filter that lets nothing through it is sure after six seconds.
 */
export async function checkWithNatDiscovery(lab: Laboratory, name: SiteName): Promise<Check[]> {
  const { mapping, filtering } = lab.site(name).expected;
  const [seenMapping, seenFiltering] = await Promise.all([
    discover(lab, name, '-m', 'Mapping'),
    discover(lab, name, '-f', 'Filtering'),
  ]);
  return [
    compare('natdiscovery mapping', inItsEyes(mapping), seenMapping),
    compare('natdiscovery filtering', inItsEyes(filtering), seenFiltering),
  ];
}

const NAMES: Readonly<Record<string, Behaviour>> = {
  'Endpoint Independent': 'endpoint-independent',
  'Address Dependent': 'address-dependent',
  'Address and Port Dependent': 'address-and-port-dependent',
};

async function discover(lab: Laboratory, name: SiteName, flag: string, test: string): Promise<Behaviour> {
  const { stdout } = await lab.run(name, [
    'timeout',
    '30',
    'turnutils_natdiscovery',
    flag,
    SERVER_ADDRESSES[0],
  ]);
  const verdict = new RegExp(`^NAT with (.*) ${test}!$`, 'm').exec(stdout)?.[1];
  return NAMES[verdict ?? ''] ?? 'unknown';
}

function inItsEyes(behaviour: Behaviour): Behaviour {
  return behaviour === 'none' ? 'endpoint-independent' : behaviour;
}
