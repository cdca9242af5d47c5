/** The protocols that share one UDP socket. `stun` is also what our probes look like. */
export type PacketKind = 'stun' | 'quic' | 'other';

const STUN_HEADER_SIZE = 20;
const STUN_MAGIC_COOKIE = 0x2112a442;

/** Tells a datagram's protocol by its first byte (RFC 7983 section 7, RFC 9443 section 3), and STUN by its cookie as well. */
export function packetKind(bytes: Buffer): PacketKind {
  const first = bytes[0];
  if (first === undefined) return 'other';
  // RFC 9443 has 64 to 79 as TURN channels too; nothing of ours speaks TURN.
  if (first >= 64) return 'quic';
  if (first > 3 || bytes.length < STUN_HEADER_SIZE) return 'other';
  return bytes.readUInt32BE(4) === STUN_MAGIC_COOKIE ? 'stun' : 'other';
}
