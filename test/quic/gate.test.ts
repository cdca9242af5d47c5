import { describe, expect, it } from 'vitest';
import { admits, ID_SIZE } from '../../src/quic/gate.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

const own = new Random(1).bytes(ID_SIZE);
const other = new Random(2).bytes(ID_SIZE);

function long(type: number, { id = own, version = 1, size = 1200 } = {}): Buffer {
  const packet = Buffer.alloc(size);
  packet[0] = 0xc0 | (type << 4);
  packet.writeUInt32BE(version, 1);
  packet[5] = id.length;
  id.copy(packet, 6);
  return packet;
}

const short = (id: Buffer, size = 60, first = 0x40) =>
  Buffer.concat([Buffer.from([first]), id, Buffer.alloc(size - 1 - id.length)]);

const [INITIAL, ZERO_RTT, HANDSHAKE, RETRY] = [0, 1, 2, 3];

describe('the gate', () => {
  it.each<[string, Buffer, boolean]>([
    ['a packet of the connection', short(own), true],
    ['one of another connection', short(other), false],
    ['one that is too short to be sealed', short(own, 40), false],
    ['one that no Ethernet carries', short(own, 1501), false],
    ['one without the fixed bit', short(own, 60, 0x00), false],
    ['a handshake for us', long(HANDSHAKE, { size: 300 }), true],
    ['a handshake for another', long(HANDSHAKE, { id: other }), false],
    ['an Initial for us', long(INITIAL, { size: 100 }), true],
    ['an Initial under another id', long(INITIAL, { id: other }), false],
    ['0-RTT', long(ZERO_RTT), false],
    ['a retry', long(RETRY), false],
    ['version negotiation', long(INITIAL, { version: 0 }), false],
    ['another version', long(INITIAL, { version: 0x6b3343cf }), false],
    ['nothing', Buffer.alloc(0), false],
  ])('meets %s', (_name, packet, admitted) => {
    expect(admits(packet, own, false)).toBe(admitted);
  });

  it('lets a server be opened under an id that the client made up, by a packet of full size', () => {
    expect(admits(long(INITIAL, { id: other.subarray(0, 8) }), own, true)).toBe(true);
    expect(admits(long(INITIAL, { id: other, size: 1199 }), own, true)).toBe(false);
    expect(admits(long(HANDSHAKE, { id: other }), own, true)).toBe(false);
  });

  it('never throws, and admits noise only where it has our id', () => {
    forSeeds(2000, (random) => {
      const noise = random.bytes(random.integer(80));
      ensure(!admits(noise, own, false), 'noise is dropped');
    });
  });
});
