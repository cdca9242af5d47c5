import type { Laboratory } from '../laboratory.ts';
import { SERVER_ADDRESSES, type SiteName } from '../topology/addresses.ts';
import type { Site } from '../topology/site.ts';
import { type Check, compare } from './check.ts';

/**
 * Debian's `stun` (RFC 3489) against coturn. It tells no translation from translation, all filters, whether ports are kept,
 * and hairpinning; not one dependent mapping from another, nor their filters.
 */
export async function checkWithStunClient(lab: Laboratory, name: SiteName): Promise<Check> {
  const { stdout } = await lab.run(name, ['timeout', '30', 'stun', SERVER_ADDRESSES[0]]);
  const verdict = /^Primary: (.*)$/m.exec(stdout)?.[1]?.trim() ?? `nothing (${stdout.trim()})`;
  return compare('stun-client', verdictOn(lab.site(name)), verdict);
}

const FILTERS = {
  'endpoint-independent': 'Independent Filter',
  'address-dependent': 'Address Dependent Filter',
  'address-and-port-dependent': 'Port Dependent Filter',
} as const;

/** In its own words. */
function verdictOn({ expected, options }: Site): string {
  const { mapping, filtering, allocation } = expected;
  if (allocation === null) return 'Blocked or could not reach STUN server';
  if (mapping === 'none') return filtering === 'none' ? 'Open' : 'Firewall';
  const ports = allocation.pattern === 'preserving' ? 'preserves ports' : 'random port';
  const hairpin = options.hairpin ? 'will hairpin' : 'no hairpin';
  if (mapping !== 'endpoint-independent') return `Dependent Mapping, ${ports}, ${hairpin}`;
  const filter = filtering in FILTERS ? FILTERS[filtering as keyof typeof FILTERS] : filtering;
  return `Independent Mapping, ${filter}, ${ports}, ${hairpin}`;
}
