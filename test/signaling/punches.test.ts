import { describe, expect, it } from 'vitest';
import type { Notice } from '../../src/signaling/client-output.ts';
import { encode } from '../../src/signaling/messages.ts';
import { type PeerCandidate, PeerMessages } from '../../src/signaling/peer-message.ts';
import type { PlanPunch, PunchPlan, PunchSide } from '../../src/signaling/punch-plan.ts';
import { type PairOptions, PunchingPair } from '../support/punching-pair.ts';
import { SignalingWorld } from '../support/signaling-world.ts';
import { coneVerdict, symmetricVerdict } from '../support/verdict.ts';

const exchange = { strategies: ['host', 'direct'], tries: 1 };
const bracket = { strategies: ['bracket'], hard: 'publisher', tries: 3 } as const;
const birthday = { strategies: ['birthday'], hard: 'subscriber', tries: 2 } as const;
const nats = [coneVerdict, symmetricVerdict] as const;

const planOf =
  (...steps: PunchPlan['steps']): PlanPunch =>
  () => ({ steps, noWay: null });

/** A pair whose NATs are known, in the middle of the plan's first step. */
function begin(planPunch: PlanPunch, options: PairOptions = {}): Promise<PunchingPair> {
  return PunchingPair.meet(new SignalingWorld({ planPunch }), { nats, ...options });
}

/** Both report the same of every try that they are told of, until nothing follows. */
async function failAll(pair: PunchingPair): Promise<void> {
  for (let last = -1; last !== pair.subscriber.step; ) {
    last = pair.subscriber.step;
    await pair.arm();
    for (const side of pair.both) side.report('failed');
    await pair.world.advance(10);
  }
}

describe('a try', () => {
  it('is armed by both, told to go, and ends with the word of the subscriber', async () => {
    const pair = await begin(planOf(exchange));
    const { subscriber, publisher, world, link } = pair;
    const step = { type: 'p2p_step', link, search: 1, step: 1, attempt: 1, plan: exchange };
    expect(subscriber.heard).toEqual([step]);
    expect(publisher.heard).toEqual([step]);
    subscriber.armed();
    await world.advance(10);
    expect(subscriber.of('p2p_go')).toEqual([]);
    publisher.armed();
    await world.advance(10);
    for (const side of pair.both) expect(side.heard.at(-1)).toEqual({ type: 'p2p_go', link, step: 1 });
    publisher.report('direct');
    await world.advance(10);
    expect(pair.outcomes).toEqual([]);
    const found = { strategy: 'host', milliseconds: 120 };
    subscriber.say({ type: 'p2p_result', link, step: 1, result: 'direct', ...found });
    await world.advance(40_000);
    expect(pair.outputs('punched')).toEqual([{ type: 'punched', link, outcome: 'direct', ...found }]);
    expect(publisher.heard).toHaveLength(2);
  });

  it('does not let a client name a strategy that was not planned', async () => {
    const pair = await begin(planOf(exchange));
    const { link } = pair;
    pair.subscriber.say({ type: 'p2p_result', link, step: 1, result: 'direct', strategy: 'telepathy' });
    await pair.world.advance(10);
    expect(pair.outputs('punched')).toMatchObject([{ outcome: 'direct', strategy: undefined }]);
  });

  it('is over after 10 s when one side never arms', async () => {
    const pair = await begin(planOf(exchange, bracket));
    pair.subscriber.armed();
    await pair.world.advance(9_900);
    expect(pair.publisher.tries).toEqual(['host 1']);
    await pair.world.advance(200);
    expect(pair.publisher.tries).toEqual(['host 1', 'bracket 1']);
    expect(pair.publisher.of('p2p_go')).toEqual([]);
  });

  it('is over after 30 s when nobody reports', async () => {
    const pair = await begin(planOf(exchange));
    await pair.arm();
    await pair.world.advance(29_900);
    expect(pair.subscriber.of('p2p_relay')).toEqual([]);
    await pair.world.advance(200);
    const relay = { type: 'p2p_relay', link: pair.link, search: 1, reason: 'exhausted' };
    for (const side of pair.both) expect(side.heard.at(-1)).toEqual(relay);
    expect(pair.outcomes).toEqual(['exhausted']);
  });

  it.each([
    ['subscriber', 'publisher'],
    ['publisher', 'subscriber'],
  ] as const)('is over 3 s after the %s alone has given it up', async (one, other) => {
    const pair = await begin(planOf(exchange, bracket));
    await pair.arm();
    pair[one].report('failed');
    await pair.world.advance(2_900);
    pair[one].report('failed');
    expect(pair[other].tries).toEqual(['host 1']);
    await pair.world.advance(200);
    expect(pair[other].tries).toEqual(['host 1', 'bracket 1']);
  });

  it('is over at once when a side could not even arm', async () => {
    const pair = await begin(planOf(exchange, bracket));
    pair.publisher.report('failed');
    await pair.world.advance(10);
    expect(pair.subscriber.tries).toEqual(['host 1', 'bracket 1']);
  });

  it('may succeed within the grace, and even when the next one has begun', async () => {
    const pair = await begin(planOf(exchange, bracket));
    await pair.arm();
    pair.publisher.report('failed');
    await pair.world.advance(3_100);
    expect(pair.subscriber.step).toBe(2);
    pair.subscriber.report('direct', 1);
    await pair.world.advance(60_000);
    expect(pair.outcomes).toEqual(['direct']);
    expect(pair.subscriber.tries).toHaveLength(2);
  });

  it('has failed when only the publisher calls it direct', async () => {
    const pair = await begin(planOf(exchange));
    await pair.arm();
    pair.publisher.report('direct');
    pair.subscriber.report('failed');
    await pair.world.advance(10);
    expect(pair.outcomes).toEqual(['exhausted']);
  });
});

describe('a plan', () => {
  it('is made once both have measured, from what they said, and whether they share an address', async () => {
    const asked: [PunchSide, PunchSide, boolean][] = [];
    const planPunch: PlanPunch = (...sides) => {
      asked.push(sides);
      return { steps: [], noWay: 'unpredictable' };
    };
    const world = new SignalingWorld({ planPunch });
    const addresses = ['2001:db8::1', '2001:db8::2'] as const;
    const pair = await PunchingPair.meet(world, { addresses, nats: [coneVerdict] });
    await world.advance(5_000);
    expect(asked).toEqual([]);
    pair.publisher.client.input((session) => session.reportNat(symmetricVerdict, true));
    await world.advance(10);
    expect(asked).toEqual([
      [
        { verdict: coneVerdict, lan: false, vouched: false },
        { verdict: symmetricVerdict, lan: true, vouched: false },
        true,
      ],
    ]);
    expect(pair.subscriber.of('p2p_relay')).toMatchObject([{ search: 1, reason: 'unpredictable' }]);
    await world.advance(60_000);
    expect(asked).toHaveLength(1);
  });

  it('is made after 10 s with what is known', async () => {
    const asked: [PunchSide, PunchSide, boolean][] = [];
    const planPunch: PlanPunch = (...sides) => {
      asked.push(sides);
      return { steps: [exchange], noWay: 'unmeasured' };
    };
    const pair = await PunchingPair.meet(new SignalingWorld({ planPunch }), { nats: [coneVerdict] });
    await pair.world.advance(9_900);
    expect(asked).toEqual([]);
    await pair.world.advance(200);
    expect(asked).toMatchObject([[{ verdict: coneVerdict }, { verdict: { mapping: 'unknown' } }, false]]);
    await failAll(pair);
    // Its steps were tried even so; the reason is that of the NATs.
    expect(pair.outcomes).toEqual(['unmeasured']);
  });

  it('is gone through step by step and try by try', async () => {
    const pair = await begin(planOf(exchange, bracket, birthday));
    await failAll(pair);
    const tries = ['host 1', 'bracket 1', 'bracket 2', 'bracket 3', 'birthday 1', 'birthday 2'];
    for (const side of pair.both) expect(side.tries).toEqual(tries);
    expect(pair.publisher.of('p2p_step').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(pair.outcomes).toEqual(['exhausted']);
  });

  it('ends when a side takes no part', async () => {
    const pair = await begin(planOf(exchange, bracket));
    pair.publisher.report('refused');
    await pair.world.advance(10);
    expect(pair.subscriber.heard.at(-1)).toMatchObject({ type: 'p2p_relay', reason: 'refused' });
    expect(pair.subscriber.tries).toHaveLength(1);
  });

  it('is not made where the server allows no direct path, and nothing is passed on', async () => {
    const world = new SignalingWorld({ direct: false, planPunch: planOf(exchange) });
    const pair = await PunchingPair.meet(world, { nats });
    pair.subscriber.say({ type: 'p2p_message', link: pair.link, body: 'AAAA', mac: 'A'.repeat(43) });
    pair.subscriber.again();
    await world.advance(30_000);
    for (const side of pair.both) expect(side.heard).toEqual([]);
    expect(world.hub.counts.punches).toBe(0);
  });
});

describe('again', () => {
  it('waits longer each time, up to a minute', async () => {
    const pair = await begin(planOf());
    const pauses: number[] = [];
    for (let search = 1; search < 9; search++) {
      expect(pair.subscriber.search).toBe(search);
      pair.subscriber.again();
      // Both have noticed; that makes no two searches.
      pair.publisher.again();
      let waited = 0;
      for (; pair.subscriber.search === search; waited += 100) await pair.world.advance(100);
      pauses.push(Math.round(waited / 1000));
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  it('is immediate after a path that was good for a while', async () => {
    const pair = await begin(planOf(exchange));
    for (let search = 1; search < 5; search++) {
      pair.subscriber.report('direct');
      await pair.world.advance(61_000);
      pair.publisher.again();
      await pair.world.advance(10);
      expect(pair.subscriber.search).toBe(search + 1);
    }
    // A path that dies soon is another matter.
    pair.subscriber.report('direct');
    await pair.world.advance(10);
    pair.publisher.again();
    await pair.world.advance(1_900);
    expect(pair.subscriber.search).toBe(5);
    await pair.world.advance(200);
    expect(pair.subscriber.search).toBe(6);
  });

  it('begins the plan anew in the middle of it, and is not heeded when it has crossed with that', async () => {
    const pair = await begin(planOf(exchange, bracket));
    pair.publisher.report('failed');
    await pair.world.advance(10);
    expect(pair.subscriber.tries).toEqual(['host 1', 'bracket 1']);
    pair.subscriber.again();
    await pair.world.advance(1_100);
    expect(pair.subscriber.tries).toEqual(['host 1', 'bracket 1', 'host 1']);
    expect(pair.subscriber.of('p2p_step').at(-1)).toMatchObject({ search: 2, step: 3 });
    pair.publisher.again(1);
    await pair.world.advance(5_000);
    expect(pair.publisher.search).toBe(2);
    await pair.arm();
    expect(pair.publisher.of('p2p_go')).toMatchObject([{ step: 3 }]);
  });

  it('uses the network that was told last', async () => {
    const planPunch: PlanPunch = ({ verdict }) => ({ steps: [], noWay: verdict.type });
    const pair = await begin(planPunch);
    pair.subscriber.client.input((session) => session.reportNat(symmetricVerdict, false));
    pair.subscriber.again();
    await pair.world.advance(1_100);
    const reasons = pair.publisher.of('p2p_relay').map(({ reason }) => reason);
    expect(reasons).toEqual(['port-restricted-cone', 'symmetric']);
  });
});

describe('a birthday search', () => {
  it('is one at a time for each public address, and rests a minute after a failure', async () => {
    const world = new SignalingWorld({ planPunch: planOf(birthday) });
    const [home, a, b, c] = ['198.51.100.1', '203.0.113.1', '203.0.113.2', '203.0.113.3'] as const;
    const first = await PunchingPair.meet(world, { nats, name: 'a', addresses: [home, a] });
    const second = await PunchingPair.meet(world, { nats, name: 'b', addresses: [b, home] });
    const third = await PunchingPair.meet(world, { nats, name: 'c', addresses: [b, c] });
    expect(first.subscriber.tries).toEqual(['birthday 1']);
    expect(second.subscriber.tries).toEqual([]);
    expect(third.subscriber.tries).toEqual(['birthday 1']);
    third.subscriber.report('direct');
    await failAll(first);
    expect(first.subscriber.tries).toEqual(['birthday 1', 'birthday 2']);
    await world.advance(59_000);
    expect(second.subscriber.tries).toEqual([]);
    await world.advance(2_000);
    expect(second.subscriber.tries).toEqual(['birthday 1']);
  });

  it('is free for others at once when it has succeeded', async () => {
    const world = new SignalingWorld({ planPunch: planOf(birthday) });
    const first = await PunchingPair.meet(world, { nats, name: 'a' });
    const second = await PunchingPair.meet(world, { nats, name: 'b' });
    first.subscriber.report('direct');
    await world.advance(1_100);
    expect(second.subscriber.tries).toEqual(['birthday 1']);
  });

  it('waits two minutes for its turn, and no longer', async () => {
    const world = new SignalingWorld({ planPunch: planOf({ ...birthday, tries: 16 }) });
    const first = await PunchingPair.meet(world, { nats, name: 'a' });
    const second = await PunchingPair.meet(world, { nats, name: 'b' });
    for (let seconds = 0; seconds < 115; seconds += 5) {
      await first.arm();
      await world.advance(4_990);
    }
    expect(second.outcomes).toEqual([]);
    await world.advance(10_000);
    expect(second.subscriber.heard).toMatchObject([{ type: 'p2p_relay', reason: 'busy' }]);
    expect(first.outcomes).toEqual(['busy']);
  });
});

describe('what came of a search', () => {
  const HOUR = 3_600_000;
  const home = ['198.51.100.1', '203.0.113.1'] as const;

  it('in vain is not tried again in that way for an hour, on no link between the two networks', async () => {
    const world = new SignalingWorld({ planPunch: planOf(exchange, birthday) });
    const first = await PunchingPair.meet(world, { nats, name: 'a', addresses: home });
    await failAll(first);
    expect(first.outcomes).toEqual(['exhausted']);
    const second = await PunchingPair.meet(world, { nats, name: 'b', addresses: [home[1], home[0]] });
    await failAll(second);
    expect(second.subscriber.tries).toEqual(['host 1']);
    expect(second.subscriber.heard.at(-1)).toMatchObject({ type: 'p2p_relay', reason: 'exhausted' });
    const elsewhere = await PunchingPair.meet(world, {
      nats,
      name: 'c',
      addresses: [home[0], '203.0.113.2'],
    });
    await world.advance(61_000);
    await failAll(elsewhere);
    expect(elsewhere.subscriber.tries).toContain('birthday 2');
    await world.advance(HOUR);
    second.subscriber.again();
    await world.advance(10);
    await failAll(second);
    expect(second.subscriber.tries).toEqual(['host 1', 'host 1', 'birthday 1', 'birthday 2']);
  });

  it('that was never told to go, was busy or refused is no outcome', async () => {
    const world = new SignalingWorld({ planPunch: planOf(birthday) });
    const pair = await PunchingPair.meet(world, { nats });
    pair.publisher.report('failed');
    await world.advance(10);
    pair.publisher.report('failed');
    await world.advance(62_000);
    expect(pair.outcomes).toEqual(['exhausted']);
    pair.subscriber.again();
    await world.advance(1_100);
    expect(pair.subscriber.tries).toEqual(['birthday 1', 'birthday 2', 'birthday 1']);
    await pair.arm();
    pair.publisher.report('refused');
    await world.advance(62_000);
    pair.subscriber.again();
    await world.advance(2_100);
    expect(pair.subscriber.tries).toHaveLength(4);
  });

  it('with success is tried first the next time', async () => {
    const world = new SignalingWorld({ planPunch: planOf(exchange, bracket) });
    const pair = await PunchingPair.meet(world, { nats });
    pair.subscriber.report('failed');
    await world.advance(10);
    await pair.arm();
    // It has crossed with the try after it.
    pair.publisher.report('failed');
    await world.advance(3_100);
    expect(pair.subscriber.tries).toEqual(['host 1', 'bracket 1', 'bracket 2']);
    pair.subscriber.report('direct', 2);
    await world.advance(62_000);
    pair.subscriber.again();
    await world.advance(10);
    expect(pair.subscriber.tries.at(-1)).toBe('bracket 1');
    await failAll(pair);
    expect(pair.subscriber.tries.at(-1)).toBe('host 1');
  });

  it('is not remembered where the server is told so, and no address rests', async () => {
    const world = new SignalingWorld({ planPunch: planOf(birthday), rememberOutcomes: false });
    for (const name of ['a', 'b', 'c']) {
      const pair = await PunchingPair.meet(world, { nats, name, addresses: home });
      await failAll(pair);
      expect(pair.subscriber.tries).toEqual(['birthday 1', 'birthday 2']);
    }
  });

  it('is forgotten by a server that is told to remember none from now on', async () => {
    const world = new SignalingWorld({ planPunch: planOf(birthday) });
    await failAll(await PunchingPair.meet(world, { nats, name: 'a', addresses: home }));
    const { limits, direct } = world.hub;
    world.input((hub) => hub.reload({ limits, direct, tokens: [], rememberOutcomes: false }));
    await world.advance(61_000);
    const pair = await PunchingPair.meet(world, { nats, name: 'b', addresses: home });
    expect(pair.subscriber.tries).toEqual(['birthday 1']);
  });
});

describe('a side that is away', () => {
  it('finds the try begun anew when it is back', async () => {
    const pair = await begin(planOf(bracket));
    pair.subscriber.armed();
    await pair.world.advance(10);
    pair.publisher.client.cut();
    await pair.world.advance(2_000);
    for (const side of pair.both) {
      expect(side.tries).toEqual(['bracket 1', 'bracket 1']);
      expect(side.step).toBe(2);
    }
    await pair.arm();
    expect(pair.publisher.of('p2p_go')).toMatchObject([{ step: 2 }]);
  });

  it('is waited for, and nothing is tried without it', async () => {
    const pair = await begin(planOf(bracket));
    pair.world.reachable = false;
    pair.publisher.client.cut();
    await pair.world.advance(25_000);
    expect(pair.subscriber.tries).toEqual(['bracket 1']);
    pair.world.reachable = true;
    await pair.world.advance(10_000);
    expect(pair.publisher.client.of('online').at(-1)).toMatchObject({ resumed: true });
    expect(pair.subscriber.tries).toEqual(['bracket 1', 'bracket 1']);
  });

  it('does not get endless tries by coming and going', async () => {
    const pair = await begin(planOf(bracket, exchange));
    for (let i = 0; i < 12; i++) {
      pair.publisher.client.cut();
      await pair.world.advance(3_000);
    }
    expect(pair.subscriber.tries.length).toBeLessThan(10);
    expect(pair.outcomes).toEqual(['exhausted']);
  });

  it('takes its report along', async () => {
    const pair = await begin(planOf(bracket));
    await pair.arm();
    pair.subscriber.client.cut();
    pair.subscriber.report('direct');
    await pair.world.advance(3_000);
    expect(pair.outcomes).toEqual(['direct']);
  });

  it('has no part in the link any more once its session is over', async () => {
    const pair = await begin(planOf(bracket));
    pair.publisher.client.input((session) => session.stop());
    await pair.world.advance(60_000);
    expect(pair.world.hub.counts.punches).toBe(0);
    expect(pair.subscriber.of('p2p_relay')).toEqual([]);
  });
});

describe('a link that closes', () => {
  it.each(['arming', 'going', 'pausing', 'queueing'])('ends what is %s', async (phase) => {
    const world = new SignalingWorld({ planPunch: planOf(birthday) });
    const other = await PunchingPair.meet(world, { nats, name: 'other' });
    if (phase !== 'queueing') other.subscriber.report('direct');
    await world.advance(10);
    const pair = await PunchingPair.meet(world, { nats });
    if (phase === 'going') await pair.arm();
    if (phase === 'pausing') pair.subscriber.again();
    await world.advance(10);
    const heard = pair.publisher.heard.length;
    pair.subscriber.say({ type: 'p2p_close', link: pair.link });
    other.subscriber.say({ type: 'p2p_close', link: other.link });
    await world.advance(10);
    for (const side of pair.both) {
      side.armed(1);
      side.report('direct', 1);
      side.again();
      side.say({ type: 'p2p_bytes', link: pair.link, received: 1 });
    }
    await world.advance(120_000);
    expect(pair.publisher.heard).toHaveLength(heard);
    expect(world.hub.counts).toMatchObject({ punches: 0, links: 0 });
    expect(pair.outputs('direct_bytes')).toEqual([]);
  });

  it('is closed by the relay just the same', async () => {
    const pair = await begin(planOf(bracket));
    pair.world.input((hub, now) => hub.linkClosed(pair.link, 'peer_lost', now));
    expect(pair.world.hub.counts.punches).toBe(0);
  });
});

describe('what does not belong', () => {
  it('is ignored: strangers, wrong numbers, things out of turn, and all of it twice', async () => {
    const pair = await begin(planOf(exchange, bracket));
    const stranger = await pair.world.join({ address: '192.0.2.99' });
    const { link } = pair;
    const body = { body: 'AAAA', mac: 'A'.repeat(43) };
    for (const step of [0, 1, 2, 2 ** 31]) {
      for (const notice of [
        { type: 'p2p_armed', link, step },
        { type: 'p2p_result', link, step, result: 'direct' },
        { type: 'p2p_result', link, step, result: 'refused' },
        { type: 'p2p_again', link, search: step },
        { type: 'p2p_message', link, ...body },
        { type: 'p2p_bytes', link, received: 5 },
      ] as const)
        stranger.input((session) => session.notify(notice));
    }
    for (const side of pair.both) {
      for (const step of [0, 2, 2 ** 31]) {
        side.armed(step);
        for (const result of ['direct', 'failed', 'refused'] as const) side.report(result, step);
        side.again(step);
      }
    }
    pair.publisher.armed();
    pair.publisher.armed();
    pair.publisher.report('direct');
    await pair.world.advance(5_000);
    for (const side of pair.both) expect(side.heard).toHaveLength(1);
    pair.subscriber.armed();
    await pair.world.advance(10);
    for (const side of pair.both) expect(side.of('p2p_go')).toHaveLength(1);
    expect(pair.outputs('direct_bytes')).toEqual([]);
    expect(pair.outcomes).toEqual([]);
    expect(stranger.session.online).toBe(true);
  });

  it('is dropped when it is too much, and the link lives', async () => {
    const pair = await begin(planOf(exchange));
    const { link, subscriber, publisher, world } = pair;
    const flood = { type: 'p2p_message', link, body: 'AAAA', mac: 'A'.repeat(43) } as const;
    for (let i = 0; i < 500; i++) subscriber.say(flood);
    await world.advance(10);
    expect(publisher.of('p2p_message')).toHaveLength(64);
    // The other way has room of its own.
    publisher.say(flood);
    await world.advance(10);
    expect(subscriber.of('p2p_message')).toEqual([flood]);
    await world.advance(60_000);
    for (let i = 0; i < 500; i++) subscriber.say(flood);
    await world.advance(10);
    expect(publisher.of('p2p_message')).toHaveLength(128);
    expect(world.hub.counts).toMatchObject({ links: 1, punches: 1, sessions: 2 });
  });

  it('does not cost a client that is away its session', async () => {
    const world = new SignalingWorld({ planPunch: planOf() });
    const pair = await PunchingPair.meet(world, { nats });
    world.reachable = false;
    pair.publisher.client.cut();
    const text = { type: 'p2p_message', link: pair.link, body: 'AAAA', mac: 'A'.repeat(43) } as const;
    for (let i = 0; i < 22; i++) {
      for (let j = 0; j < 64; j++) pair.subscriber.say(text);
      pair.subscriber.again(1);
      await world.advance(1_000);
    }
    world.reachable = true;
    await world.advance(16_000);
    expect(pair.publisher.client.of('online').at(-1)).toMatchObject({ resumed: true });
    expect(pair.publisher.of('p2p_message').length).toBeLessThanOrEqual(128);
    expect(pair.publisher.of('p2p_message').length).toBeGreaterThan(60);
  });
});

describe('the signaling of one punch', () => {
  it('stays near a kilobyte a side', async () => {
    const world = new SignalingWorld({ planPunch: planOf(exchange, bracket) });
    const pair = await PunchingPair.meet(world, { nats });
    const random = (size: number) => world.runtime.randomBytes(size);
    const transcript = {
      link: Buffer.from(pair.link, 'base64url'),
      ...{ offerNonce: random(32), answerNonce: random(32) },
      ...{ offerFingerprint: random(32), answerFingerprint: random(32) },
    };
    const peerKey = random(32);
    const said = { subscriber: 0, publisher: 0 };
    const say = (role: 'subscriber' | 'publisher', notice: Notice) => {
      said[role] += encode(notice).length;
      pair[role].say(notice);
    };
    for (const role of ['subscriber', 'publisher'] as const) {
      const peer = new PeerMessages({ peerKey, transcript, role, name: 'game' });
      const found: PeerCandidate[] = [
        { kind: 'host', address: '192.168.178.23', port: 51820 },
        { kind: 'host', address: '2001:db8:1234:5678:9abc:def0:1234:5678', port: 51821 },
        { kind: 'server-reflexive', address: '203.0.113.77', port: 51820 },
      ];
      for (const { body, mac } of peer.sealCandidates(found)) {
        const text = { body: body.toString('base64url'), mac: mac.toString('base64url') };
        say(role, { type: 'p2p_message', link: pair.link, ...text });
      }
      say(role, { type: 'p2p_armed', link: pair.link, step: 1 });
    }
    await world.advance(10);
    for (const role of ['subscriber', 'publisher'] as const) {
      const result = { result: 'direct', strategy: 'direct', milliseconds: 120 } as const;
      say(role, { type: 'p2p_result', link: pair.link, step: 1, ...result });
    }
    await world.advance(10);
    for (const role of ['subscriber', 'publisher'] as const) {
      const heard = pair[role].heard.map(encode).join('').length;
      process.stdout.write(`signaling of one punch, ${role}: ${said[role]} bytes sent, ${heard} received\n`);
      expect(said[role]).toBeLessThan(1024);
      expect(heard).toBeLessThan(1024);
      expect(pair[role].heard.map(({ type }) => type).sort()).toEqual(['p2p_go', 'p2p_message', 'p2p_step']);
    }
    expect(pair.outcomes).toEqual(['direct']);
  });
});

describe('bytes on direct paths', () => {
  it('are counted where they arrive, six reports a minute', async () => {
    const pair = await begin(planOf(exchange));
    const { link } = pair;
    pair.publisher.say({ type: 'p2p_bytes', link, received: 1000 });
    pair.subscriber.say({ type: 'p2p_bytes', link, received: 7 });
    await pair.world.advance(10);
    expect(pair.outputs('direct_bytes')).toEqual([
      { type: 'direct_bytes', direction: 'up', bytes: 1000 },
      { type: 'direct_bytes', direction: 'down', bytes: 7 },
    ]);
    for (let i = 0; i < 50; i++) pair.publisher.say({ type: 'p2p_bytes', link, received: 1 });
    await pair.world.advance(10);
    expect(pair.outputs('direct_bytes').filter(({ direction }) => direction === 'up')).toHaveLength(6);
  });
});

describe('a client that is its own peer', () => {
  it('does not look for itself', async () => {
    const world = new SignalingWorld({ planPunch: planOf(exchange) });
    const client = await world.join();
    const hash = 'ab'.repeat(32);
    const mac = 'A'.repeat(43);
    const link = Buffer.alloc(16, 9).toString('base64url');
    await client.request({ type: 'register', name: 'me', secrets: [{ key_id: 0, hash }] });
    const offer = { name: 'me', link, key_id: 0, hash, offer: 'AAAA', mac, wait: false };
    const asked = client.ask({ type: 'p2p_connect', ...offer });
    await world.advance(10);
    expect(client.of('offer')).toMatchObject([{ offer: { direct: false } }]);
    client.input((session) => session.notify({ type: 'p2p_answer', link, answer: 'AAAA', mac }));
    await world.advance(30_000);
    expect(client.outcome(asked)).toMatchObject({ direct: false });
    expect(client.of('punch')).toEqual([]);
  });
});

describe('where a party is', () => {
  const ADDRESSES = ['45.80.1.2', '45.80.2.2'] as const;

  /** Two clients that have shown where they are, or have not: what each is told of the other one with a step. */
  async function told(options: { voucherOf?: 'the other' | 'nobody'; age?: number; none?: boolean } = {}) {
    const world = new SignalingWorld({ planPunch: planOf(exchange) });
    const pair = await PunchingPair.meet(world);
    const vouchers = pair.both.map(({ client }) =>
      Buffer.from(client.of('online').at(-1)?.voucher ?? '', 'base64url'),
    );
    expect(vouchers.map(({ length }) => length)).toEqual([16, 16]);
    expect(vouchers[0]?.equals(vouchers[1] ?? Buffer.alloc(0))).toBe(false);
    const claims = ADDRESSES.map((address, i) => {
      const own = vouchers[options.voucherOf === 'the other' ? 1 - i : i] ?? Buffer.alloc(16);
      const voucher = options.voucherOf === 'nobody' ? Buffer.alloc(16) : own;
      return { voucher, address, proof: world.proofs.prove(voucher, address, world.runtime.now()) };
    });
    pair.subscriber.client.input((session) =>
      session.reportNat(coneVerdict, false, options.none ? undefined : claims[0]),
    );
    await world.advance(10);
    pair.publisher.client.input((session) =>
      session.reportNat(coneVerdict, false, options.none ? undefined : claims[1]),
    );
    await world.advance(10);
    return pair.both.map((side) => side.of('p2p_step').map(({ vouched }) => vouched));
  }

  it('is told to the other one with a step, if its STUN request has come from there', async () => {
    expect(await told()).toEqual([[[ADDRESSES[1]]], [[ADDRESSES[0]]]]);
  });

  it('is not, without a proof, or with one for another voucher', async () => {
    for (const options of [{ none: true }, { voucherOf: 'the other' }, { voucherOf: 'nobody' }] as const)
      expect(await told(options)).toEqual([[undefined], [undefined]]);
  });

  it('lets a search begin anew that had come to nothing for want of it', async () => {
    const planPunch: PlanPunch = (one, other) =>
      one.vouched && other.vouched ? { steps: [exchange], noWay: null } : { steps: [], noWay: 'unvouched' };
    const world = new SignalingWorld({ planPunch });
    const pair = await PunchingPair.meet(world, { nats });
    expect(pair.outcomes).toEqual(['unvouched']);
    for (const [i, { client }] of pair.both.entries()) {
      const voucher = Buffer.from(client.of('online').at(-1)?.voucher ?? '', 'base64url');
      const address = ADDRESSES[i] ?? '';
      const proof = world.proofs.prove(voucher, address, world.runtime.now());
      client.input((session) => session.reportNat(coneVerdict, false, { voucher, address, proof }));
      await world.advance(10);
    }
    await world.advance(1_100);
    expect(pair.subscriber.of('p2p_step')).toMatchObject([{ search: 2, vouched: [ADDRESSES[1]] }]);
  });

  it('is forgotten with the proof, or when the client says no more of it', async () => {
    const world = new SignalingWorld({ planPunch: planOf({ ...exchange, tries: 3 }) });
    const pair = await PunchingPair.meet(world, { nats });
    const { client } = pair.publisher;
    const voucher = Buffer.from(client.of('online').at(-1)?.voucher ?? '', 'base64url');
    const address = ADDRESSES[1];
    const proof = world.proofs.prove(voucher, address, world.runtime.now());
    const fail = async () => {
      for (const side of pair.both) side.report('failed');
      await world.advance(10);
      return pair.subscriber.of('p2p_step').at(-1)?.vouched;
    };
    client.input((session) => session.reportNat(coneVerdict, false, { voucher, address, proof }));
    await world.advance(10);
    expect(await fail()).toEqual([address]);
    client.input((session) => session.reportNat(coneVerdict, false));
    await world.advance(10);
    expect(await fail()).toBeUndefined();
  });
});
