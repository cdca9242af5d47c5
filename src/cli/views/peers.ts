import type { PeerStatus } from '../../index.ts';
import { formatBytes, formatDuration, printable } from './format.ts';

/** Who is connected, a line each. @param quoted the tunnel's name */
export function describePeers(quoted: string, peers: readonly PeerStatus[]): string {
  if (peers.length === 0) return `Nobody is connected to ${quoted}.`;
  const friends = peers.length === 1 ? '1 friend' : `${peers.length} friends`;
  return [`${friends} of ${quoted}:`, ...peers.map((peer) => `  ${describePeer(peer)}`)].join('\n');
}

/** `203.0.113.9`, or with a hint that nobody has checked it. */
export function describeAddress(address: string, claimed: boolean): string {
  return claimed ? `${printable(address)} (says the server)` : printable(address);
}

/** What came and went: `3.4 MiB in, 1.2 MiB out`. */
export function describeTraffic({ bytes_in, bytes_out }: Pick<PeerStatus, 'bytes_in' | 'bytes_out'>): string {
  return `${formatBytes(bytes_in)} in, ${formatBytes(bytes_out)} out`;
}

function describePeer(peer: PeerStatus): string {
  const how = peer.strategy === null ? '' : ` (${printable(peer.strategy)})`;
  return [
    printable(peer.peer),
    peer.kind === null ? 'away' : `${peer.kind}${how}`,
    describeAddress(peer.address, peer.address_claimed),
    `for ${formatDuration(peer.seconds)}`,
    describeTraffic(peer),
    `${peer.connections} TCP`,
    `${peer.flows} UDP`,
    `key ${printable(peer.identity)}`,
  ].join(', ');
}
