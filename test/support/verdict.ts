import type { NatVerdict } from '../../src/nat/behaviour.ts';

/** A home router as many are. */
export const coneVerdict: NatVerdict = {
  type: 'port-restricted-cone',
  mapping: 'endpoint-independent',
  mapping_confidence: 'addresses',
  filtering: 'address-and-port-dependent',
  allocation: { pattern: 'preserving', step: null, range: null },
  poisonable: true,
  hairpin: false,
  cgnat: false,
  udp_blocked: false,
  arming_ttl: 2,
  port_mapped: false,
  ipv6: true,
};

/** Each mapping gets another port, not far from the last. */
export const symmetricVerdict: NatVerdict = {
  ...coneVerdict,
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
  allocation: { pattern: 'sequential', step: -2, range: null },
};

/** Nothing could be measured. */
export const unknownVerdict: NatVerdict = {
  type: 'unknown',
  mapping: 'unknown',
  mapping_confidence: null,
  filtering: 'unknown',
  allocation: null,
  poisonable: null,
  hairpin: null,
  cgnat: null,
  udp_blocked: true,
  arming_ttl: null,
  port_mapped: false,
  ipv6: false,
};
