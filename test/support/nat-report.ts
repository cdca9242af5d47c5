import type { NatReport } from '../../src/nat/report.ts';

/** A home router as most are: port-restricted, its ports kept, measured with a server that has two addresses. */
export function natReport(changes: Partial<NatReport> = {}): NatReport {
  return {
    type: 'port-restricted-cone',
    mapping: 'endpoint-independent',
    mapping_confidence: 'addresses',
    filtering: 'address-and-port-dependent',
    allocation: { pattern: 'preserving', step: null, range: null },
    poisonable: false,
    hairpin: false,
    cgnat: false,
    udp_blocked: false,
    arming_ttl: 2,
    public_address: '198.51.100.7',
    local_address: '192.168.1.20',
    ipv6: null,
    port_mapping: null,
    port_mapping_asked: true,
    port_mapping_refusal: null,
    servers: [{ server: 'u.example:3478', status: 'answered', rtt_ms: 12.3 }],
    mapping_ms: 40,
    elapsed_ms: 940,
    ...changes,
  };
}
