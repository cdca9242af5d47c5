import type { PortMappingProtocol, Refusal, RefusalReason } from '../report.ts';

/** RFC 6887 section 7.4: NOT_AUTHORIZED, NETWORK_FAILURE, NO_RESOURCES, USER_EX_QUOTA. */
const PCP: Reasons = new Map([
  [2, 'not-authorised'],
  [7, 'no-external-address'],
  [8, 'no-resources'],
  [10, 'no-resources'],
]);

/** RFC 6886 section 3.5. */
const NAT_PMP: Reasons = new Map([
  [2, 'not-authorised'],
  [3, 'no-external-address'],
  [4, 'no-resources'],
]);

/** WANIPConnection:2 section 2.5: action not authorised; a conflict that other ports did not solve; no mappings left. */
const UPNP: Reasons = new Map([
  [606, 'not-authorised'],
  [718, 'no-resources'],
  [728, 'no-resources'],
]);

type Reasons = ReadonlyMap<number, RefusalReason>;

const REASONS: Readonly<Record<PortMappingProtocol, Reasons>> = { pcp: PCP, 'nat-pmp': NAT_PMP, upnp: UPNP };

export function refusal(protocol: PortMappingProtocol, code: number): Refusal {
  return { protocol, reason: REASONS[protocol].get(code) ?? 'other', code };
}

export function noExternalAddress(protocol: PortMappingProtocol, code = 0): Refusal {
  return { protocol, reason: 'no-external-address', code };
}
