import { describe, expect, it } from 'vitest';
import {
  ChannelDecoder,
  ChannelError,
  ChannelFrame,
  decodeChannelHeader,
  encodeAck,
  encodeChannelHeader,
  encodeDataHeader,
  encodeOffset,
  encodePing,
  encodeReset,
  ResetCode,
} from '../../../src/tunnel/channel/channel-frame.ts';
import type { Random } from '../../support/random.ts';
import { cutAtRandom, forSeeds, mutate } from '../../support/seeds.ts';

/** What a decoder says, with neighbouring data joined: where bytes are cut must not show. */
function decode(pieces: Buffer[]): { events: string[]; error: unknown } {
  const events: string[] = [];
  let run: string | undefined;
  const note = (event: string) => {
    if (run !== undefined) events.push(`data ${run}`);
    run = undefined;
    events.push(event);
  };
  const decoder = new ChannelDecoder({
    onData: (chunk) => {
      expect(chunk.length).toBeGreaterThan(0);
      run = (run ?? '') + chunk.toString('hex');
    },
    onAck: (received, limit) => note(`ack ${received} ${limit}`),
    onFin: (offset) => note(`fin ${offset}`),
    onReset: (code) => note(`reset ${code}`),
    onSeek: (offset) => note(`seek ${offset}`),
    onPing: (question) => note(`ping ${question}`),
    onPong: (question) => note(`pong ${question}`),
  });
  let error: unknown;
  try {
    for (const piece of pieces) decoder.decode(piece);
  } catch (thrown) {
    error = thrown;
  }
  if (run !== undefined) events.push(`data ${run}`);
  return { events, error };
}

/** The slow, obvious decoder: all bytes at once, as hex. */
function decodeSlowly(bytes: Buffer): { events: string[]; garbage: boolean } {
  const events: string[] = [];
  let hex = bytes.toString('hex');
  const take = (size: number) => {
    const taken = hex.slice(0, 2 * size);
    hex = hex.slice(2 * size);
    return taken;
  };
  const data = (chunk: string) => {
    if (chunk === '') return;
    const last = events.at(-1);
    if (last?.startsWith('data ')) events[events.length - 1] = last + chunk;
    else events.push(`data ${chunk}`);
  };
  while (hex.length >= 8) {
    const [type, length] = [Number.parseInt(take(1), 16), Number.parseInt(take(3), 16)];
    const sizes: Record<number, boolean> = {
      0: length >= 1 && length <= 65_536,
      1: length === 16,
      2: length === 8,
      3: length === 2,
      4: length === 8,
      5: length === 4,
      6: length === 4,
    };
    if (!sizes[type]) return { events, garbage: true };
    if (type === 0) data(take(length));
    else if (hex.length < 2 * length) break;
    else {
      const values = Array.from({ length: Math.ceil(length / 8) }, () =>
        BigInt(`0x${take(Math.min(length, 8))}`),
      );
      if (values.some((value) => value >= 2n ** 53n)) return { events, garbage: true };
      events.push(`${['', 'ack', 'fin', 'reset', 'seek', 'ping', 'pong'][type]} ${values.join(' ')}`);
    }
  }
  return { events, garbage: false };
}

function dataFrame(bytes: Buffer): Buffer {
  return Buffer.concat([encodeDataHeader(bytes.length), bytes]);
}

function randomFrames(random: Random): Buffer {
  const frames = Array.from({ length: 1 + random.integer(6) }, () => {
    switch (random.integer(6)) {
      case 0:
        return encodeAck(random.integer(2 ** 30), Math.floor(random.next() * 2 ** 53));
      case 1:
        return encodeOffset(ChannelFrame.fin, random.integer(2 ** 20));
      case 2:
        return encodeReset(random.integer(65_536));
      case 3:
        return encodeOffset(ChannelFrame.seek, Math.floor(random.next() * 2 ** 53));
      case 4:
        return encodePing(random.pick([ChannelFrame.ping, ChannelFrame.pong]), random.integer(2 ** 32));
      default:
        return dataFrame(random.bytes(1 + random.integer(40)));
    }
  });
  return Buffer.concat(frames);
}

const header = { kind: 'new', port: 0x0203, channel: 0x0405060708090a0bn } as const;

describe('the wire of a channel', () => {
  it('is as the protocol says', () => {
    expect(encodeChannelHeader(header).toString('hex')).toBe('010002030405060708090a0b00010000');
    expect(encodeChannelHeader({ ...header, kind: 'resumed' }).toString('hex')).toBe(
      '010102030405060708090a0b00010000',
    );
    expect(encodeDataHeader(65_536).toString('hex')).toBe('00010000');
    expect(encodeAck(2 ** 33 + 1, 2 ** 53 - 1).toString('hex')).toBe(
      '010000100000000200000001001fffffffffffff',
    );
    expect(encodeOffset(ChannelFrame.fin, 5).toString('hex')).toBe('020000080000000000000005');
    expect(encodeReset(ResetCode.tooManyChannels).toString('hex')).toBe('030000020003');
    expect(encodeOffset(ChannelFrame.seek, 2 ** 32).toString('hex')).toBe('040000080000000100000000');
    expect(encodePing(ChannelFrame.ping, 2 ** 32 - 1).toString('hex')).toBe('05000004ffffffff');
    expect(encodePing(ChannelFrame.pong, 2).toString('hex')).toBe('0600000400000002');
  });

  it('does not care where the bytes are cut', () => {
    const bytes = Buffer.concat([
      dataFrame(Buffer.from('hello')),
      encodeAck(5, 70_000),
      encodeOffset(ChannelFrame.seek, 5),
      dataFrame(Buffer.from('you')),
      encodePing(ChannelFrame.ping, 7),
      encodeOffset(ChannelFrame.fin, 8),
      encodePing(ChannelFrame.pong, 6),
      encodeReset(4),
    ]);
    const whole = decode([bytes]);
    expect(whole).toEqual({
      events: [
        ...['data 68656c6c6f', 'ack 5 70000', 'seek 5', 'data 796f75'],
        ...['ping 7', 'fin 8', 'pong 6', 'reset 4'],
      ],
      error: undefined,
    });
    for (let one = 0; one <= bytes.length; one++)
      for (let two = one; two <= bytes.length; two++)
        expect(decode([bytes.subarray(0, one), bytes.subarray(one, two), bytes.subarray(two)])).toEqual(
          whole,
        );
    expect(decode([...bytes].map((byte) => Buffer.of(byte)))).toEqual(whole);
  });

  it('is read as the slow decoder reads it, valid or mutated', () => {
    forSeeds(8000, (random, seed) => {
      const valid = randomFrames(random);
      const bytes = seed % 2 === 0 ? valid : mutate(valid, random);
      const slow = decodeSlowly(bytes);
      const ours = decode(cutAtRandom(bytes, random, 1 + random.integer(40)));
      expect(ours.events).toEqual(slow.events);
      if (slow.garbage) expect(ours.error).toBeInstanceOf(ChannelError);
      else expect(ours.error).toBeUndefined();
    });
  });

  it.each([
    ['frame type', '07000000'],
    ['data frame of 0 bytes', '00000000'],
    ['data frame of 65537 bytes', '00010001'],
    ['frame of type 1 with 8 bytes', '01000008'],
    ['frame of type 2 with 9 bytes', '02000009'],
    ['frame of type 3 with 0 bytes', '03000000'],
    ['offset 9007199254740992', '020000080020000000000000'],
    ['offset 18446744073709551615', '010000100000000000000000ffffffffffffffff'],
    ['frame of type 4 with 7 bytes', '04000007'],
    ['frame of type 5 with 8 bytes', '05000008'],
    ['frame of type 6 with 0 bytes', '06000000'],
  ])('refuses another %s', (problem, hex) => {
    const bytes = Buffer.from(hex, 'hex');
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.of(byte))]) {
      const { events, error } = decode(pieces);
      expect(events).toEqual([]);
      expect(error).toBeInstanceOf(ChannelError);
      expect(String(error)).toContain(problem);
    }
  });

  it.each([
    ['version', '02000000000000000000000000010000'],
    ['kind', '01020000000000000000000000010000'],
    ['initial credit', '01000000000000000000000000020000'],
  ])('refuses another %s in a header', (problem, hex) => {
    expect(() => decodeChannelHeader(Buffer.from(hex, 'hex'))).toThrow(problem);
  });

  it('reads the headers that it writes', () => {
    for (const kind of ['new', 'resumed'] as const)
      expect(decodeChannelHeader(encodeChannelHeader({ ...header, kind }))).toEqual({ ...header, kind });
  });

  it('passes data through without a copy', () => {
    const bytes = dataFrame(Buffer.from('hello'));
    const chunks: Buffer[] = [];
    const nothing = () => {};
    new ChannelDecoder({
      onData: (chunk) => chunks.push(chunk),
      onAck: nothing,
      onFin: nothing,
      onReset: nothing,
      onSeek: nothing,
      onPing: nothing,
      onPong: nothing,
    }).decode(bytes);
    expect(chunks[0]?.buffer).toBe(bytes.buffer);
  });
});
