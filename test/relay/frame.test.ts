import { describe, expect, it } from 'vitest';
import {
  encodeHeader,
  Flag,
  FrameDecoder,
  FrameError,
  FrameType,
  HEADER_SIZE,
  MAX_DATA_LENGTH,
} from '../../src/relay/frame.ts';
import { decodeAll, type Frame, frameBytes } from '../support/naive-frames.ts';
import type { Random } from '../support/random.ts';
import { cutAtRandom, forSeeds, mutate } from '../support/seeds.ts';

/** Feeds the pieces to a decoder; payload pieces are joined to their frame, which is undefined until complete. */
function decode(pieces: Buffer[]): { frames: Frame[]; error: unknown; tail: Buffer | undefined } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let partial: Buffer[] | undefined;
  let open: Frame | undefined;
  const sink = {
    onHeader(type: number, flags: number, stream: number, length: number) {
      expect(open).toBeUndefined();
      const frame = { type, flags, stream, length, payload: Buffer.alloc(0) };
      if (type === FrameType.data && length > 0) {
        open = frame;
        partial = [];
      } else frames.push(frame);
    },
    onPayload(chunk: Buffer) {
      if (open === undefined || partial === undefined) throw new Error('payload without a header');
      expect(chunk.length).toBeGreaterThan(0);
      partial.push(chunk);
      const payload = Buffer.concat(partial);
      if (payload.length < open.length) return;
      frames.push({ ...open, payload });
      open = undefined;
    },
  };
  try {
    for (const piece of pieces) decoder.decode(piece, sink);
    return { frames, error: undefined, tail: open && partial ? Buffer.concat(partial) : undefined };
  } catch (error) {
    return { frames, error, tail: undefined };
  }
}

function randomFrames(random: Random): Buffer {
  const frames: Buffer[] = [];
  for (let i = 1 + random.integer(5); i > 0; i--) {
    const type = random.integer(4);
    const payload = type === 0 ? random.bytes(random.integer(40)).toString('latin1') : '';
    const length = type === 0 ? payload.length : random.integer(2 ** 32);
    frames.push(frameBytes(type, random.integer(16), random.integer(2 ** 32), length, payload));
  }
  return Buffer.concat(frames);
}

describe('the header', () => {
  it('is the twelve bytes of the specification', () => {
    expect(encodeHeader(FrameType.windowUpdate, Flag.syn | Flag.rst, 0x01020304, 0xfffefdfc)).toEqual(
      Buffer.from('0001000901020304fffefdfc', 'hex'),
    );
  });

  it('comes back as it was written', () => {
    forSeeds(1000, (random) => {
      const fields = [
        1 + random.integer(3),
        random.integer(16),
        random.integer(2 ** 32),
        random.integer(2 ** 32),
      ];
      const [type = 0, flags = 0, stream = 0, length = 0] = fields;
      const header = encodeHeader(type, flags, stream, length);
      expect(header.length).toBe(HEADER_SIZE);
      expect(header).toEqual(frameBytes(type, flags, stream, length));
      const { frames } = decode([header]);
      expect(frames).toEqual([{ type, flags, stream, length, payload: Buffer.alloc(0) }]);
    });
  });
});

describe('the decoder', () => {
  it('does not care where the bytes are cut', () => {
    const bytes = Buffer.concat([
      frameBytes(1, 1, 1, 0),
      frameBytes(0, 0, 1, 5, 'hello'),
      frameBytes(0, 4, 1, 0),
      frameBytes(2, 1, 0, 7),
      frameBytes(0, 1, 3, 30, 'x'.repeat(30)),
      frameBytes(3, 0, 0, 0),
    ]);
    const whole = decode([bytes]);
    expect(whole.frames).toHaveLength(6);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(decode(pieces)).toEqual(whole);
      }
    }
    expect(decode([...bytes].map((byte) => Buffer.of(byte)))).toEqual(whole);
  });

  it('agrees with the slow decoder on valid and on mutated bytes', () => {
    forSeeds(8000, (random, seed) => {
      const valid = randomFrames(random);
      const bytes = seed % 2 === 0 ? valid : mutate(valid, random);
      const naive = decodeAll(bytes);
      const ours = decode(cutAtRandom(bytes, random, 1 + random.integer(60)));
      expect(ours.frames).toEqual(naive.frames);
      if (naive.stop === 'garbage') expect(ours.error).toBeInstanceOf(FrameError);
      else {
        expect(ours.error).toBeUndefined();
        expect(ours.tail ?? Buffer.alloc(0)).toEqual(
          naive.rest.length > HEADER_SIZE ? naive.rest.subarray(HEADER_SIZE) : Buffer.alloc(0),
        );
      }
    });
  });

  it('passes payload through without a copy', () => {
    const bytes = frameBytes(0, 0, 1, 5, 'hello');
    let chunk: Buffer | undefined;
    new FrameDecoder().decode(bytes, {
      onHeader: () => {},
      onPayload: (payload) => {
        chunk = payload;
      },
    });
    expect(chunk?.buffer).toBe(bytes.buffer);
  });

  it.each([
    ['another version', Buffer.from('010100000000000100000000', 'hex'), /version 1/],
    ['an unknown type', frameBytes(4, 0, 1, 0), /frame type 4/],
    ['an unknown flag', frameBytes(1, 16, 1, 0), /flags 16/],
    ['a high flag', frameBytes(1, 0x8001, 1, 0), /flags 32769/],
    ['an endless data frame', frameBytes(0, 0, 1, MAX_DATA_LENGTH + 1), /data frame of 1048577 bytes/],
  ])('refuses %s', (_name, bytes, message) => {
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.of(byte))]) {
      const { frames, error } = decode(pieces);
      expect(frames).toEqual([]);
      expect(error).toBeInstanceOf(FrameError);
      expect(String(error)).toMatch(message);
    }
  });

  it('takes the longest data frame, and any length where it is a value', () => {
    expect(decode([frameBytes(0, 0, 1, MAX_DATA_LENGTH)]).error).toBeUndefined();
    expect(decode([frameBytes(1, 0, 1, 0xffffffff)]).error).toBeUndefined();
  });
});
