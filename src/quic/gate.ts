import { MAX_PACKET_SIZE } from './config.ts';

/** All our connection ids have the greatest length that QUIC knows. */
export const ID_SIZE = 20;

/** Type, id, packet number and the smallest sealed payload. */
const MIN_SHORT = 1 + ID_SIZE + 4 + 16;

const LONG_HEADER = 0x80;
const FIXED_BIT = 0x40;
const TYPE_BITS = 0x30;
const INITIAL = 0x00;
const HANDSHAKE = 0x20;
const VERSION_1 = 1;

/** The shortest datagram that may open a connection (RFC 9000 section 14.1). */
const MIN_INITIAL = 1200;

/** Whether it is of the handshake (RFC 9000 section 17.2). */
export function isLong(packet: Buffer): boolean {
  return ((packet[0] ?? 0) & LONG_HEADER) !== 0;
}

/**
 * Whether a packet may reach quiche: only what a connection like ours needs does (RFC 9000 section 17.2, RFC 8999). No version
 * negotiation, no retry, no 0-RTT, and nothing that is meant for another connection.
 * @param ownId the connection id that we chose
 * @param opening whether it may open a connection, under an id that the peer made up
 */
export function admits(packet: Buffer, ownId: Buffer, opening: boolean): boolean {
  const first = packet[0] ?? 0;
  if ((first & FIXED_BIT) === 0 || packet.length > MAX_PACKET_SIZE) return false;
  if (!isLong(packet)) return packet.length >= MIN_SHORT && isAt(packet, 1, ownId);
  if (packet.length < MIN_SHORT || packet.readUInt32BE(1) !== VERSION_1) return false;
  const type = first & TYPE_BITS;
  if (type !== INITIAL && type !== HANDSHAKE) return false;
  if (packet[5] === ID_SIZE && isAt(packet, 6, ownId)) return true;
  return opening && type === INITIAL && packet.length >= MIN_INITIAL;
}

/** In every packet that is received: a call of Buffer's costs more than this. */
function isAt(packet: Buffer, at: number, id: Buffer): boolean {
  for (let i = 0; i < ID_SIZE; i++) if (packet[at + i] !== id[i]) return false;
  return true;
}
