import { expect, it } from 'vitest';
import { PeerStreams } from '../../src/quic/peer-streams.ts';

it('knows each stream once, in any order', () => {
  const streams = new PeerStreams(10);
  expect([8, 0, 8, 4, 0, 4, 12].map((id) => streams.isNew(id))).toEqual([
    true,
    true,
    false,
    true,
    false,
    false,
    true,
  ]);
});

it.each([1, 2, 3, 44, 4_000_000])('takes stream %i for a breach of the protocol', (id) => {
  expect(() => new PeerStreams(10).isNew(id)).toThrow(`stream ${id}`);
});

it('lets no more than so many be left out, in all', () => {
  const streams = new PeerStreams(10);
  expect(streams.isNew(24)).toBe(true);
  expect(streams.isNew(44)).toBe(true);
  expect(() => streams.isNew(52)).toThrow('stream 52');
  expect([streams.isNew(0), streams.isNew(52)]).toEqual([true, true]);
});
