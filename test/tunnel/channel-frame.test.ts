import { describe, expect, it } from 'vitest';
import {
  ChannelDecoder,
  ChannelError,
  ChannelFrame,
  encodeChannelHeader,
  encodeDataHeader,
  encodeOffset,
  encodeReset,
  ResetCode,
} from '../../src/tunnel/channel-frame.ts';
import type { Random } from '../support/random.ts';
import { cutAtRandom, forSeeds, mutate } from '../support/seeds.ts';

/** What a decoder says, with neighbouring data joined: where bytes are cut must not show. */
function decode(pieces: Buffer[], expectHeader: boolean): { events: string[]; error: unknown } {
  const events: string[] = [];
  let run: string | undefined;
  const note = (event: string) => {
    if (run !== undefined) events.push(`data ${run}`);
    run = undefined;
    events.push(event);
  };
  const decoder = new ChannelDecoder(expectHeader, {
    onHeader: ({ port, channel }) => note(`header ${port} ${channel}`),
    onData: (chunk) => {
      expect(chunk.length).toBeGreaterThan(0);
      run = (run ?? '') + chunk.toString('hex');
    },
    onCredit: (offset) => note(`credit ${offset}`),
    onFin: (offset) => note(`fin ${offset}`),
    onReset: (code) => note(`reset ${code}`),
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

/** The slow, obvious decoder, for streams without a channel header: all bytes at once, as hex. */
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
      1: length === 8,
      2: length === 8,
      3: length === 2,
    };
    if (!sizes[type]) return { events, garbage: true };
    if (type === 0) data(take(length));
    else if (hex.length < 2 * length) break;
    else {
      const value = BigInt(`0x${take(length)}`);
      if (type !== 3 && value >= 2n ** 53n) return { events, garbage: true };
      events.push(`${['', 'credit', 'fin', 'reset'][type]} ${value}`);
    }
  }
  return { events, garbage: false };
}

function dataFrame(bytes: Buffer): Buffer {
  return Buffer.concat([encodeDataHeader(bytes.length), bytes]);
}

function randomFrames(random: Random): Buffer {
  const frames = Array.from({ length: 1 + random.integer(6) }, () => {
    switch (random.integer(4)) {
      case 0:
        return encodeOffset(ChannelFrame.credit, random.integer(2 ** 48));
      case 1:
        return encodeOffset(ChannelFrame.fin, random.integer(2 ** 20));
      case 2:
        return encodeReset(random.integer(65_536));
      default:
        return dataFrame(random.bytes(1 + random.integer(40)));
    }
  });
  return Buffer.concat(frames);
}

const header = { port: 0x0203, channel: 0x0405060708090a0bn };

describe('the wire of a channel', () => {
  it('is as the protocol says', () => {
    expect(encodeChannelHeader(header).toString('hex')).toBe('010002030405060708090a0b00010000');
    expect(encodeDataHeader(65_536).toString('hex')).toBe('00010000');
    expect(encodeOffset(ChannelFrame.credit, 2 ** 33 + 1).toString('hex')).toBe('010000080000000200000001');
    expect(encodeOffset(ChannelFrame.fin, 5).toString('hex')).toBe('020000080000000000000005');
    expect(encodeReset(ResetCode.tooManyChannels).toString('hex')).toBe('030000020003');
  });

  it('does not care where the bytes are cut', () => {
    const bytes = Buffer.concat([
      encodeChannelHeader(header),
      dataFrame(Buffer.from('hello')),
      encodeOffset(ChannelFrame.credit, 70_000),
      dataFrame(Buffer.from('you')),
      encodeOffset(ChannelFrame.fin, 8),
      encodeReset(4),
    ]);
    const whole = decode([bytes], true);
    expect(whole).toEqual({
      events: [
        `header ${header.port} ${header.channel}`,
        'data 68656c6c6f',
        'credit 70000',
        'data 796f75',
        'fin 8',
        'reset 4',
      ],
      error: undefined,
    });
    for (let one = 0; one <= bytes.length; one++)
      for (let two = one; two <= bytes.length; two++)
        expect(decode([bytes.subarray(0, one), bytes.subarray(one, two), bytes.subarray(two)], true)).toEqual(
          whole,
        );
    expect(
      decode(
        [...bytes].map((byte) => Buffer.of(byte)),
        true,
      ),
    ).toEqual(whole);
  });

  it('is read as the slow decoder reads it, valid or mutated', () => {
    forSeeds(8000, (random, seed) => {
      const valid = randomFrames(random);
      const bytes = seed % 2 === 0 ? valid : mutate(valid, random);
      const slow = decodeSlowly(bytes);
      const ours = decode(cutAtRandom(bytes, random, 1 + random.integer(40)), false);
      expect(ours.events).toEqual(slow.events);
      if (slow.garbage) expect(ours.error).toBeInstanceOf(ChannelError);
      else expect(ours.error).toBeUndefined();
    });
  });

  it.each([
    ['version', '02000000000000000000000000010000', true],
    ['kind', '01010000000000000000000000010000', true],
    ['initial credit', '01000000000000000000000000020000', true],
    ['frame type', '04000000', false],
    ['data frame of 0 bytes', '00000000', false],
    ['data frame of 65537 bytes', '00010001', false],
    ['frame of type 1 with 7 bytes', '01000007', false],
    ['frame of type 2 with 9 bytes', '02000009', false],
    ['frame of type 3 with 0 bytes', '03000000', false],
    ['offset 9007199254740992', '010000080020000000000000', false],
  ])('refuses another %s', (problem, hex, expectHeader) => {
    const bytes = Buffer.from(hex, 'hex');
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.of(byte))]) {
      const { events, error } = decode(pieces, expectHeader);
      expect(events).toEqual([]);
      expect(error).toBeInstanceOf(ChannelError);
      expect(String(error)).toContain(problem);
    }
  });

  it('passes data through without a copy', () => {
    const bytes = dataFrame(Buffer.from('hello'));
    const chunks: Buffer[] = [];
    const nothing = () => {};
    new ChannelDecoder(false, {
      onHeader: nothing,
      onData: (chunk) => chunks.push(chunk),
      onCredit: nothing,
      onFin: nothing,
      onReset: nothing,
    }).decode(bytes);
    expect(chunks[0]?.buffer).toBe(bytes.buffer);
  });
});
