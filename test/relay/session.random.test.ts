import { describe, expect, it } from 'vitest';
import { INITIAL_WINDOW } from '../../src/relay/frame.ts';
import type { Random } from '../support/random.ts';
import { forSeeds, mutate } from '../support/seeds.ts';
import { deliver, type Half, Side, settle, transmit } from '../support/session-world.ts';

interface World {
  readonly random: Random;
  readonly sides: readonly [Side, Side];
  now: number;
}

function world(random: Random): World {
  const maxWindow = random.pick([INITIAL_WINDOW, 1 << 20]);
  const options = { maxWindow };
  return {
    random,
    sides: [new Side({ role: 'client', ...options }), new Side({ role: 'server', ...options })],
    now: 0,
  };
}

/** One random thing happens on a random side. */
function step(world: World, resets: boolean): void {
  const { random, sides } = world;
  const flip = random.integer(2);
  const side = sides[flip] as Side;
  const other = sides[1 - flip] as Side;
  const ids = [...side.halves].filter(([, half]) => half.over === undefined).map(([id]) => id);
  const id = ids[random.integer(Math.max(1, ids.length))];
  switch (random.integer(9)) {
    case 0:
      if (ids.length < 6) side.open(world.now);
      break;
    case 1:
      world.now += random.pick([0, 1, 50]);
      side.session.handleTimeout(world.now);
      break;
    case 2:
      if (id !== undefined && random.integer(3) === 0) side.end(id);
      break;
    case 3:
      if (id !== undefined && resets && random.integer(3) === 0) {
        side.session.reset(id);
        side.half(id).over = 'reset';
      }
      break;
    case 4:
      if (id !== undefined) side.consume(id, random.integer(200_000), world.now);
      break;
    case 5:
      transmit(side, random.pick([1, 1000, 70_000, 300_000]));
      break;
    case 6:
      deliver(side, other, random.integer(side.inFlight.length + 1), world.now, random);
      break;
    default:
      if (id !== undefined) side.write(id, random.pick([1, 100, 5000, 100_000]));
  }
}

function finish({ sides, now, random }: World): void {
  const [a, b] = sides;
  settle(a, b, now, random);
  for (const side of sides) for (const id of side.halves.keys()) side.end(id);
  settle(a, b, now, random);
}

function expectAllRead(reader: Half, writer: Half): void {
  expect(reader.read).toBe(writer.written);
  expect(reader.endSeen).toBe(true);
  expect(reader.over).toBe('finished');
}

function expectNothingLeft(sides: readonly [Side, Side]): void {
  for (const side of sides) {
    expect(side.closed).toBeUndefined();
    expect(side.session.streamCount).toBe(0);
    expect(side.budget.used).toBe(0);
  }
}

describe('two sessions under random schedules', () => {
  it('deliver what was written, in order, with half-closes', () => {
    forSeeds(1500, (random) => {
      const w = world(random);
      for (let i = 0; i < 120; i++) step(w, false);
      finish(w);
      const [a, b] = w.sides;
      expect([...a.halves.keys()].sort()).toEqual([...b.halves.keys()].sort());
      for (const [id, half] of a.halves) {
        expectAllRead(half, b.half(id));
        expectAllRead(b.half(id), half);
      }
      expectNothingLeft(w.sides);
    });
  });

  it('stay in step when streams are reset at any moment', () => {
    forSeeds(2500, (random) => {
      const w = world(random);
      for (let i = 0; i < 120; i++) step(w, true);
      finish(w);
      expectNothingLeft(w.sides);
    });
  });

  it('never hold more than a window unconsumed', () => {
    forSeeds(150, (random) => {
      const sides = [
        new Side({ role: 'client', maxWindow: INITIAL_WINDOW }),
        new Side({ role: 'server', maxWindow: INITIAL_WINDOW }),
      ] as const;
      const w: World = { random, sides, now: 0 };
      for (let i = 0; i < 3; i++) sides[random.integer(2)]?.open(0);
      for (let i = 0; i < 300; i++) {
        for (const side of sides) for (const id of side.halves.keys()) side.write(id, 20_000);
        step(w, false);
      }
      for (const side of sides)
        for (const half of side.halves.values())
          expect(half.mostUnconsumed).toBeLessThanOrEqual(INITIAL_WINDOW);
    });
  });
});

describe('a session that is fed mutated bytes', () => {
  it('goes on or ends with a typed close, and gives everything back', () => {
    let closes = 0;
    forSeeds(2500, (random) => {
      const w = world(random);
      const [a, b] = w.sides;
      for (let i = 0; i < 60; i++) step(w, true);
      transmit(a, 50_000);
      const bytes = mutate(a.inFlight.subarray(0, 4000), random);
      b.session.receive(bytes, w.now);
      drainQuietly(b);
      if (b.session.closed) closes += 1;
      b.session.close();
      drainQuietly(b);
      expect(b.session.streamCount).toBe(0);
      expect(b.budget.used).toBe(0);
    });
    expect(closes).toBeGreaterThan(100);
  });

  it('never throws on noise', () => {
    forSeeds(4000, (random) => {
      const side = new Side({ role: random.pick(['client', 'server']) });
      side.open(0);
      const noise = random.bytes(random.integer(400));
      // Mostly valid headers, or nothing but the version check is tested.
      for (let at = 0; at + 12 <= noise.length; at += 12) {
        noise[at] = 0;
        noise[at + 1] = random.integer(4);
        noise[at + 2] = 0;
        noise[at + 3] = random.integer(16);
        noise.writeUInt32BE(random.integer(6), at + 4);
        noise.writeUInt32BE(random.integer(30), at + 8);
      }
      side.session.receive(noise, 0);
      drainQuietly(side);
      side.session.close();
      expect(side.session.streamCount).toBe(0);
      expect(side.budget.used).toBe(0);
    });
  });
});

/** Takes all outputs; what they say about mutated bytes is nobody's business, but they end with one `closed`. */
function drainQuietly(side: Side): void {
  for (let output = side.session.pollOutput(); output; output = side.session.pollOutput()) {
    expect(side.closed).toBeUndefined();
    if (output.type === 'closed') side.closed = output;
  }
}
