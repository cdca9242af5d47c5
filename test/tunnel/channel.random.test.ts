import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { Channel, type ChannelOutput } from '../../src/tunnel/channel.ts';
import { encodeReset, INITIAL_CREDIT, ResetCode } from '../../src/tunnel/channel-frame.ts';
import { header, outputs, transmitted } from '../support/lone-channel.ts';
import type { Random } from '../support/random.ts';
import { cutAtRandom, ensure, forSeeds, mutate } from '../support/seeds.ts';
import { patternAt } from '../support/session-world.ts';

/** One side of a channel with a book of what went through it. */
class Side {
  readonly budget: Budget;
  readonly channel: Channel;
  inFlight = Buffer.alloc(0);
  written = 0;
  ended = false;
  read = 0;
  unconsumed = 0;
  consumed = 0;
  endSeen = false;
  over: ChannelOutput['type'] | undefined;

  constructor(opens: boolean, budget: Budget) {
    this.budget = budget;
    this.channel = new Channel(
      { header: opens ? header : undefined, budget, sendBudget: new Budget(Number.POSITIVE_INFINITY) },
      0,
    );
  }

  write(length: number): void {
    if (this.ended || this.over) return;
    const chunk = patternAt(this.written, length);
    this.channel.write(chunk);
    this.written += chunk.length;
  }

  end(): void {
    this.ended = true;
    this.channel.end();
  }

  consume(bytes: number, now: number): void {
    const taken = Math.min(bytes, this.unconsumed);
    this.unconsumed -= taken;
    this.consumed += taken;
    this.channel.consume(taken, now, 10);
  }

  transmit(): boolean {
    const buffers: Buffer[] = [];
    const more = this.channel.pending;
    this.channel.transmit(buffers);
    this.inFlight = Buffer.concat([this.inFlight, ...buffers]);
    this.report();
    return more;
  }

  receive(from: Side, bytes: number, random: Random): void {
    const arriving = from.inFlight.subarray(0, bytes);
    from.inFlight = from.inFlight.subarray(bytes);
    const longest = random.pick([5, 1000, 100_000]);
    const pieces =
      longest === 5 && arriving.length > 500 ? [arriving] : cutAtRandom(arriving, random, longest);
    for (const piece of pieces) this.channel.receive(piece);
    this.report();
  }

  report(): void {
    for (const output of outputs(this.channel)) {
      ensure(this.over === undefined, `nothing follows ${this.over}`);
      if (output.type === 'data') {
        ensure(!this.endSeen, 'no data follows the end');
        ensure(output.chunk.equals(patternAt(this.read, output.chunk.length)), 'the bytes are right');
        this.read += output.chunk.length;
        this.unconsumed += output.chunk.length;
      } else if (output.type === 'end') this.endSeen = true;
      else if (output.type === 'finished' || output.type === 'reset') this.over = output.type;
    }
  }
}

function step(sides: readonly [Side, Side], random: Random, now: number): void {
  const which = random.integer(2);
  const [side, other] = [sides[which] as Side, sides[1 - which] as Side];
  switch (random.integer(7)) {
    case 0:
      if (random.integer(6) === 0) side.end();
      break;
    case 1:
      side.consume(random.integer(100_000), now);
      break;
    case 2:
    case 3:
      side.transmit();
      break;
    case 4:
      side.receive(other, random.integer(other.inFlight.length + 1), random);
      break;
    default:
      side.write(random.pick([1, 50, 3000, 80_000]));
  }
}

function settle(sides: readonly [Side, Side], random: Random, now: number): void {
  for (let idle = 0; idle < 2; idle++) {
    for (const [which, side] of sides.entries()) {
      const other = sides[1 - which] as Side;
      while (side.transmit()) idle = 0;
      other.receive(side, side.inFlight.length, random);
      other.consume(Number.POSITIVE_INFINITY, now);
    }
  }
}

describe('two ends of a channel under random schedules', () => {
  it('deliver what was written, and end', () => {
    forSeeds(2000, (random) => {
      const sides = [
        new Side(true, new Budget(random.pick([100_000, 1 << 26]))),
        new Side(false, new Budget(1 << 20)),
      ] as const;
      let now = 0;
      for (let i = 0; i < 100; i++) {
        now += random.pick([0, 0, 5, 500]);
        step(sides, random, now);
        for (const { unconsumed, budget } of sides) {
          ensure(unconsumed <= budget.used, 'what is held is in the budget');
          ensure(budget.used <= Math.max(budget.total, INITIAL_CREDIT), 'the budget holds');
        }
      }
      for (const side of sides) side.end();
      settle(sides, random, now);
      for (const [which, side] of sides.entries()) {
        expect(side.read).toBe(sides[1 - which]?.written);
        expect([side.endSeen, side.over, side.budget.used]).toEqual([true, 'finished', 0]);
      }
    });
  });

  it('end with a reset for both, when one resets at any moment', () => {
    forSeeds(1000, (random) => {
      const sides = [new Side(true, new Budget(1 << 26)), new Side(false, new Budget(1 << 26))] as const;
      for (let i = 0; i < random.integer(60); i++) step(sides, random, i);
      const which = random.integer(2);
      const [side, other] = [sides[which] as Side, sides[1 - which] as Side];
      if (side.over === undefined) {
        side.channel.reset(ResetCode.closed);
        side.over = 'reset';
      }
      settle(sides, random, 100);
      expect(other.over).toBeDefined();
      expect([side.budget.used, other.budget.used]).toEqual([0, 0]);
    });
  });
});

describe('a channel fed mutated bytes', () => {
  it('goes on or is reset with a code, and never throws', () => {
    let resets = 0;
    forSeeds(5000, (random) => {
      const sides = [new Side(true, new Budget(1 << 26)), new Side(false, new Budget(1 << 26))] as const;
      const [side, victim] = sides;
      for (let i = 0; i < 10; i++) {
        side.write(random.integer(60));
        if (random.integer(4) === 0) side.end();
        side.transmit();
      }
      for (const piece of cutAtRandom(mutate(side.inFlight, random), random, 50))
        victim.channel.receive(piece);
      const seen = outputs(victim.channel);
      const ends = seen.filter(({ type }) => type === 'reset' || type === 'finished');
      expect(ends.length).toBeLessThanOrEqual(1);
      expect(victim.channel.over).toBe(ends.length === 1);
      if (ends[0]?.type === 'reset' && ends[0].problem !== undefined) {
        resets += 1;
        expect(transmitted(victim.channel)).toEqual(encodeReset(ResetCode.protocolError));
      }
      victim.channel.lost();
      expect(victim.budget.used).toBe(0);
    });
    expect(resets).toBeGreaterThan(500);
  });
});
