import { describe, expect, it } from 'vitest';
import {
  encodeRecordHeader,
  MAX_DATAGRAM,
  RECORD_HEADER_SIZE,
  RecordError,
  RecordParser,
} from '../../src/relay/datagram-record.ts';
import type { Random } from '../support/random.ts';
import { cutAtRandom, forSeeds, mutate } from '../support/seeds.ts';

function record(datagram: Buffer): Buffer {
  return Buffer.concat([encodeRecordHeader(datagram.length), datagram]);
}

function parse(chunks: readonly Buffer[]): Buffer[] {
  const parser = new RecordParser();
  const datagrams: Buffer[] = [];
  for (const chunk of chunks) parser.push(chunk, (datagram) => datagrams.push(datagram));
  return datagrams;
}

function someDatagrams(random: Random): Buffer[] {
  const longest = random.pick([3, 300, 300, 1500, 20_000]);
  return Array.from({ length: 1 + random.integer(8) }, () => random.bytes(1 + random.integer(longest)));
}

describe('records', () => {
  it('are a length and so many bytes', () => {
    expect(record(Buffer.from('hi'))).toEqual(Buffer.from([0, 2, 104, 105]));
    const longest = Buffer.alloc(MAX_DATAGRAM, 7);
    expect(parse([record(longest)])).toEqual([longest]);
  });

  it('come out as they went in, however they are cut and merged', () => {
    forSeeds(200, (random) => {
      const datagrams = someDatagrams(random);
      const bytes = Buffer.concat(datagrams.map(record));
      const parsed = parse(cutAtRandom(bytes, random, random.pick([2, 7, 2000, 100_000])));
      expect(parsed.length).toBe(datagrams.length);
      expect(Buffer.concat(parsed).equals(Buffer.concat(datagrams))).toBe(true);
    });
  });

  it('may stop anywhere: what is not complete is not handed out', () => {
    forSeeds(100, (random) => {
      const datagrams = someDatagrams(random);
      const bytes = Buffer.concat(datagrams.map(record));
      const end = random.integer(bytes.length);
      const parsed = parse(cutAtRandom(bytes.subarray(0, end), random, 1000));
      const sizes = parsed.reduce((sum, { length }) => sum + RECORD_HEADER_SIZE + length, 0);
      expect(sizes).toBeLessThanOrEqual(end);
      expect(parsed.every((datagram, i) => datagram.equals(datagrams[i] as Buffer))).toBe(true);
    });
  });

  it.each([[[0, 0]], [[0, 1, 7, 0, 0]]])('of no length are an error: %j', (bytes) => {
    expect(() => parse([Buffer.from(bytes)])).toThrow(RecordError);
    expect(() => parse(bytes.map((byte) => Buffer.from([byte])))).toThrow(RecordError);
  });

  it('of noise are datagrams or an error, and nothing else', () => {
    forSeeds(300, (random) => {
      const bytes = mutate(Buffer.concat(someDatagrams(random).map(record)), random);
      try {
        const parsed = parse(cutAtRandom(bytes, random, 5000));
        const sizes = parsed.reduce((sum, { length }) => sum + RECORD_HEADER_SIZE + length, 0);
        expect(sizes).toBeLessThanOrEqual(bytes.length);
        expect(parsed.every(({ length }) => length > 0)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(RecordError);
      }
    });
  });
});
