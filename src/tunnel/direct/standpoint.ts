import { type Candidate, gatherCandidates } from '../../nat/candidates.ts';
import type { NamedServer } from '../../nat/client.ts';
import { natKind } from '../../nat/people.ts';
import { type Findings, type NatReport, verdictOf } from '../../nat/report.ts';
import type { SourceClaim } from '../../nat/source-proofs.ts';
import { type Endpoint, familyOf } from '../../net/endpoint.ts';
import { localInterfaces } from '../../net/interfaces.ts';
import { scopeOf } from '../../net/ip.ts';
import type { MainSockets } from '../../punch/client.ts';
import type { Measured } from '../../punch/rounds.ts';
import type { PeerCandidate } from '../../signaling/peer-message.ts';

/** Where this client stands in its network: what a search for a direct path starts from. */
export interface Standpoint {
  readonly sockets: MainSockets;
  readonly measured: Measured;
  /** What peers are told, best first. */
  readonly candidates: readonly PeerCandidate[];
  /** The server is on this machine, and so is every peer. */
  readonly loopback: boolean;
  /** What the server's STUN has said of where we are. */
  readonly claim?: SourceClaim | undefined;
}

export interface StandpointSource {
  readonly sockets: MainSockets;
  readonly findings: Findings;
  readonly report: NatReport;
  readonly servers: readonly NamedServer[];
  /** Whether peers may learn addresses that are not public. */
  readonly lanAddresses: boolean;
}

/** Whether a search that found nothing from the one would find nothing from the other. */
export function sameNetwork(one: Standpoint, other: Standpoint): boolean {
  const essence = ({ measured: { verdict, reflexive, mapped } }: Standpoint) =>
    JSON.stringify([natKind(verdict), reflexive, mapped]);
  return one.sockets[4] === other.sockets[4] && essence(one) === essence(other);
}

export function standpointOf(source: StandpointSource): Standpoint {
  const { sockets, findings, report, servers } = source;
  const { reflexive } = findings;
  const { port_mapping } = report;
  const mapped = port_mapping ? endpointOf(port_mapping.external_address) : undefined;
  const answered = servers.filter((_, i) => findings.servers[i]?.status === 'answered');
  const stun = answered.flatMap(({ endpoints }) => endpoints).find((one) => familyOf(one) === 4);
  const measured = { verdict: verdictOf(report), reflexive, mapped, stun };
  const endpoints = servers.flatMap((server) => server.endpoints);
  if (endpoints.length > 0 && endpoints.every(({ address }) => scopeOf(address) === 'loopback')) {
    const candidates = reflexive ? [{ kind: 'host', ...reflexive } as const] : [];
    return { sockets, measured, candidates, loopback: true };
  }
  const gathered = gatherCandidates(
    {
      addresses: localInterfaces(),
      ports: { 4: sockets[4]?.local.port, 6: sockets[6]?.local.port },
      reflexive: reflexive ? [reflexive] : [],
      mapped,
    },
    { lanAddresses: source.lanAddresses, allInterfaces: false },
  );
  return { sockets, measured, candidates: gathered.map(toPeer), loopback: false };
}

function toPeer({ kind, source, address, port }: Candidate): PeerCandidate {
  if (source === 'port-mapping') return { kind: 'mapped', address, port };
  return { kind: kind === 'host' ? 'host' : 'server-reflexive', address, port };
}

/** @param text `address:port` of IPv4 */
function endpointOf(text: string): Endpoint {
  const [address = '', port] = text.split(':');
  return { address, port: Number(port) };
}
