import { describe, expect, it } from 'vitest';
import { encodeReset, ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import { ChannelWorld, type End } from '../../support/channel-world.ts';
import { loneChannel, outputs, transmitted } from '../../support/lone-channel.ts';
import { cutAtRandom, ensure, forSeeds, mutate } from '../../support/seeds.ts';
import { patternAt } from '../../support/session-world.ts';

describe('two ends of a channel under random schedules, on lanes that come and go', () => {
  it('deliver what was written, once and in order, and end', () => {
    forSeeds(20_000, (random) => {
      const world = new ChannelWorld(random);
      for (let i = 20 + random.integer(80); i > 0; i--) {
        world.step();
        world.check();
      }
      for (const end of world.ends) end.end();
      world.settle();
      for (const end of world.ends) {
        const other = world.ends[1 - end.side] as End;
        ensure(end.over === 'finished', `it is over: ${end.over}`);
        ensure(end.read === other.written && end.endSeen, 'what was written has been read, to the end');
        ensure(end.budget.used === 0 && end.sendBudget.used === 0, 'nothing is left on an account');
      }
    });
  });

  it('go on to the last byte while neither ends', () => {
    forSeeds(3000, (random) => {
      const world = new ChannelWorld(random);
      for (let i = 20 + random.integer(40); i > 0; i--) world.step();
      const wereEnded = world.ends.map(({ ended }) => ended);
      world.settle();
      for (const end of world.ends) {
        const other = world.ends[1 - end.side] as End;
        ensure(end.read === other.written, 'what was written has been read');
        ensure(end.endSeen === wereEnded[other.side], 'one end is not the other');
      }
    });
  });

  it('end with a reset for both, when one resets at any moment', () => {
    forSeeds(3000, (random) => {
      const world = new ChannelWorld(random);
      for (let i = random.integer(60); i > 0; i--) world.step();
      const [opener, acceptor] = world.ends;
      const side = random.pick([opener, acceptor]);
      if (side.over === undefined) {
        side.channel.reset(ResetCode.closed);
        side.over = 'reset 0';
      }
      for (let i = 0; i < 3; i++) {
        for (const end of world.ends) for (const cable of [...end.lanes.keys()]) world.notice(end, cable);
        if (opener.over === undefined && opener.lanes.size === 0) world.plug('resumed');
        for (const cable of world.cables)
          for (const end of world.ends) {
            while (end.transmit(cable));
            (world.ends[1 - end.side] as End).receive(cable, Number.POSITIVE_INFINITY, world.now);
          }
      }
      // Who opens no lanes waits for one until the link gives it up.
      if (acceptor.over === undefined) {
        ensure(side === opener && acceptor.lanes.size === 0, 'a reset arrives where there is a lane');
        acceptor.channel.abandon(ResetCode.closed);
      }
      for (const { budget, sendBudget } of world.ends)
        ensure(budget.used === 0 && sendBudget.used === 0, 'nothing is left on an account');
    });
  });
});

describe('a channel fed mutated bytes', () => {
  it('goes on or is reset with a code, and never throws', () => {
    let resets = 0;
    forSeeds(8000, (random) => {
      const sender = loneChannel();
      const away = [sender.channel.addLane('new'), sender.channel.addLane('resumed')] as const;
      const victim = loneChannel({ opens: true });
      const lanes = [victim.channel.addLane('new'), victim.channel.addLane('resumed')] as const;
      victim.channel.write(Buffer.alloc(random.integer(50)));
      for (const lane of lanes) transmitted(victim.channel, lane);
      let written = 0;
      for (let i = 0; i < 10; i++) {
        const which = random.integer(2) as 0 | 1;
        const chunk = patternAt(written, random.integer(60));
        written += chunk.length;
        sender.channel.write(chunk);
        sender.channel.prefer(away[which], random.integer(2) === 0, 0);
        if (random.integer(8) === 0) sender.channel.end();
        const bytes = transmitted(sender.channel, away[which]);
        const arriving = random.integer(3) === 0 ? mutate(bytes, random) : bytes;
        for (const piece of cutAtRandom(arriving, random, 50)) victim.channel.receive(lanes[which], piece, i);
      }
      const seen = outputs(victim.channel);
      const ends = seen.filter(({ type }) => type === 'reset' || type === 'finished');
      expect(ends.length).toBeLessThanOrEqual(1);
      expect(victim.channel.over).toBe(ends.length === 1);
      if (ends[0]?.type === 'reset' && ends[0].problem !== undefined) {
        resets += 1;
        expect(transmitted(victim.channel, lanes[0])).toEqual(encodeReset(ResetCode.protocolError));
      }
      victim.channel.abandon(ResetCode.closed);
      expect([victim.budget.used, victim.sendBudget.used]).toEqual([0, 0]);
    });
    expect(resets).toBeGreaterThan(500);
  });
});
