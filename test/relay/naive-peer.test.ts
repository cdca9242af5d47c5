import { describe, expect, it } from 'vitest';
import { NaiveYamux } from '../support/naive-yamux.ts';
import { cutAtRandom, ensure, forSeeds } from '../support/seeds.ts';
import { patternAt, Side } from '../support/session-world.ts';

/** Moves everything both ways, cut at random, until nothing moves. */
function exchange(side: Side, naive: NaiveYamux, cut: (bytes: Buffer) => Buffer[], limit: number): void {
  for (let moved = true; moved; ) {
    const buffers: Buffer[] = [];
    moved = side.session.transmit(limit, buffers) > 0;
    for (const piece of cut(Buffer.concat(buffers))) naive.receive(piece);
    for (const piece of cut(Buffer.concat(naive.transmit()))) {
      moved = true;
      side.session.receive(piece, 0);
    }
    side.report();
    for (const id of side.halves.keys()) side.consume(id, Number.POSITIVE_INFINITY, 0);
  }
}

describe('a session and a second implementation', () => {
  it('understand each other, whoever opens, cut anywhere', () => {
    forSeeds(300, (random) => {
      const role = random.pick<'client' | 'server'>(['client', 'server']);
      const side = new Side({ role });
      const naive = new NaiveYamux(role === 'client' ? 'server' : 'client');
      // The naive peer looks at all of an unfinished frame again with every piece.
      const cut = (bytes: Buffer) =>
        cutAtRandom(bytes, random, bytes.length < 2000 ? 15 : random.pick([20_000, 100_000]));
      const sent = new Map<number, number>();
      for (let i = 0; i < 40; i++) {
        const id = [...naive.streams.keys()][random.integer(Math.max(1, naive.streams.size))];
        switch (random.integer(7)) {
          case 0:
            if (sent.size < 5) sent.set(random.integer(2) === 0 ? naive.open() : side.open(0), 0);
            break;
          case 1:
            naive.ping(i);
            break;
          case 2:
            exchange(side, naive, cut, random.pick([1, 5000, 1_000_000]));
            break;
          case 3:
            if (id !== undefined && random.integer(5) === 0) naive.end(id);
            break;
          case 4:
            if (id !== undefined && side.halves.has(id)) side.write(id, random.pick([1, 300, 40_000]));
            break;
          default:
            if (id !== undefined && !naive.streams.get(id)?.ending) {
              const at = sent.get(id) ?? 0;
              const chunk = patternAt(at, random.pick([1, 300, 40_000]));
              naive.send(id, chunk.toString('latin1'));
              sent.set(id, at + chunk.length);
            }
        }
      }
      exchange(side, naive, cut, 1_000_000);
      for (const id of naive.streams.keys()) {
        naive.end(id);
        side.end(id);
      }
      exchange(side, naive, cut, 1_000_000);
      for (const [id, stream] of naive.streams) {
        const half = side.half(id);
        expect([half.read, half.over]).toEqual([sent.get(id), 'finished']);
        ensure(stream.finReceived && stream.received.length === half.written, 'the naive peer has all');
        for (let at = 0; at < half.written; at += 50_000) {
          const expected = patternAt(at, Math.min(50_000, half.written - at)).toString('latin1');
          ensure(stream.received.startsWith(expected, at), 'and it is right');
        }
      }
      expect([side.closed, side.session.streamCount, side.budget.used]).toEqual([undefined, 0, 0]);
    });
  });

  it('agree about resets and goodbyes', () => {
    const side = new Side({ role: 'server' });
    const naive = new NaiveYamux('client');
    const whole = (bytes: Buffer) => (bytes.length > 0 ? [bytes] : []);
    const [first, second] = [naive.open(), naive.open()];
    exchange(side, naive, whole, 1e6);
    naive.reset(first);
    side.session.reset(second);
    side.half(second).over = 'reset';
    exchange(side, naive, whole, 1e6);
    expect(side.half(first).over).toBe('reset');
    expect(naive.streams.get(second)?.reset).toBe(true);
    side.session.close();
    exchange(side, naive, whole, 1e6);
    expect(naive.goneAway).toBe(true);
  });
});
