import { describe, expect, it } from 'vitest';
import { packetKind } from '../../src/net/packet-kind.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

/** A header that is STUN's, but for its first byte. */
function header(first: number, size = 20): Buffer {
  const bytes = Buffer.alloc(size);
  bytes[0] = first;
  if (size >= 8) bytes.writeUInt32BE(0x2112a442, 4);
  return bytes;
}

describe('packetKind', () => {
  it.each([
    ['STUN', header(0), 'stun'],
    ['STUN, the last class', header(3), 'stun'],
    ['a byte between the ranges', header(4), 'other'],
    ['the last byte before QUIC', header(63), 'other'],
    ['QUIC, short header', header(64), 'quic'],
    ['QUIC, long header', header(192), 'quic'],
    ['QUIC, one byte', Buffer.of(255), 'quic'],
    ['a STUN header cut short', header(0, 19), 'other'],
    ['a wrong cookie', Buffer.alloc(20), 'other'],
    ['nothing', Buffer.alloc(0), 'other'],
  ])('%s', (_, bytes, kind) => expect(packetKind(bytes)).toBe(kind));

  it('never takes noise for STUN without its cookie', () => {
    forSeeds(2000, (random) => {
      const bytes = random.bytes(random.integer(40));
      const kind = packetKind(bytes);
      ensure((kind === 'quic') === (bytes[0] ?? 0) >= 64, `${bytes.toString('hex')} is ${kind}`);
      ensure(kind !== 'stun' || bytes.includes('2112a442', 0, 'hex'), `${bytes.toString('hex')} is ${kind}`);
    });
  });
});
