import { describe, expect, it } from 'vitest';
import { Identity } from '../../src/identity.ts';
import type { Unsent } from '../../src/signaling/client-output.ts';
import type { HubOutput } from '../../src/signaling/hub-output.ts';
import { SignalingWorld, type WorldClient } from '../support/signaling-world.ts';
import { coneVerdict, symmetricVerdict } from '../support/verdict.ts';

const HASH = 'ab'.repeat(32);
const WRONG = 'cd'.repeat(32);
const MAC = Buffer.alloc(32, 1).toString('base64url');
const OFFER = Buffer.from('offer').toString('base64url');
const ANSWER = Buffer.from('answer').toString('base64url');

let lastLink = 0;
const newLink = () => Buffer.alloc(16, ++lastLink).toString('base64url');

function register(client: WorldClient, name = 'game') {
  return client.request({ type: 'register', name, secrets: [{ key_id: 0, hash: HASH }] });
}

function connectTo(name = 'game', fields: Partial<Extract<Unsent, { type: 'p2p_connect' }>> = {}) {
  const fixed = { type: 'p2p_connect', key_id: 0, offer: OFFER, mac: MAC } as const;
  return { ...fixed, name, link: newLink(), hash: HASH, wait: false, ...fields };
}

/** A publisher that answers every offer at once. */
async function publish(world: SignalingWorld, name = 'game') {
  const publisher = await world.join({ address: '192.0.2.10' });
  expect(await register(publisher, name)).toMatchObject({ type: 'registered', name });
  return publisher;
}

/** Answers the last offer. */
function agree(publisher: WorldClient): void {
  const link = publisher.of('offer').at(-1)?.offer.link ?? '';
  publisher.input((session) => session.notify({ type: 'p2p_answer', link, answer: ANSWER, mac: MAC }));
}

async function linkUp(world: SignalingWorld) {
  const publisher = await publish(world);
  const subscriber = await world.join({ address: '192.0.2.20' });
  const request = connectTo();
  const asked = subscriber.ask(request);
  await world.advance(20);
  agree(publisher);
  await world.advance(20);
  expect(subscriber.outcome(asked)).toMatchObject({ type: 'p2p_answer', link: request.link });
  return { publisher, subscriber, link: request.link };
}

function eventsOf<Type extends HubOutput['type']>(world: SignalingWorld, type: Type) {
  return world.events.filter((event): event is Extract<HubOutput, { type: Type }> => event.type === type);
}

describe('publishing and connecting', () => {
  it('carries offer and answer, opens the link for the relay, and closes it', async () => {
    const world = new SignalingWorld({ tokens: ['t0', 't1'] });
    const publisher = await world.join({ token: 't1', address: '192.0.2.10' });
    await register(publisher);
    const subscriber = await world.join({ token: 't0', address: '192.0.2.20' });
    const request = connectTo();
    const asked = subscriber.ask(request);
    await world.advance(20);
    expect(publisher.of('offer')[0]?.offer).toEqual({
      type: 'p2p_offer',
      link: request.link,
      name: 'game',
      key_id: 0,
      offer: OFFER,
      mac: MAC,
      peer_address: '192.0.2.20',
      direct: true,
    });
    agree(publisher);
    await world.advance(20);
    expect(subscriber.outcome(asked)).toMatchObject({
      link: request.link,
      answer: ANSWER,
      mac: MAC,
      direct: true,
    });
    expect(eventsOf(world, 'link_open')).toEqual([
      {
        type: 'link_open',
        link: request.link,
        name: 'game',
        publisher: 's1',
        subscriber: 's2',
        token: 2,
        direct: true,
      },
    ]);
    expect(world.hub.counts).toMatchObject({ sessions: 2, tunnels: 1, links: 1 });

    subscriber.input((session) =>
      session.notify({ type: 'p2p_close', link: request.link, code: 'peer_lost' }),
    );
    await world.advance(20);
    expect(publisher.of('link_closed')).toEqual([
      { type: 'link_closed', link: request.link, code: 'peer_lost' },
    ]);
    expect(subscriber.of('link_closed')).toEqual([]);
    expect(eventsOf(world, 'link_closed')).toHaveLength(1);
    expect(world.hub.counts.links).toBe(0);
  });

  it('does not find what nobody publishes', async () => {
    const world = new SignalingWorld();
    const subscriber = await world.join();
    expect(await subscriber.request(connectTo('nothing'))).toBe('tunnel_not_found');
    expect(world.hub.counts.links).toBe(0);
  });

  it('lets a subscriber wait for its publisher, for as long as it takes', async () => {
    const world = new SignalingWorld();
    const subscriber = await world.join();
    const asked = subscriber.ask(connectTo('game', { wait: true }));
    await world.advance(100_000);
    expect(subscriber.of('waiting')).toHaveLength(1);
    const publisher = await publish(world);
    expect(publisher.of('offer')).toHaveLength(1);
    agree(publisher);
    await world.advance(20);
    expect(subscriber.outcome(asked)).toMatchObject({ type: 'p2p_answer' });
  });

  it('forgets a subscriber that stops waiting', async () => {
    const world = new SignalingWorld();
    const subscriber = await world.join();
    const request = connectTo('game', { wait: true });
    const asked = subscriber.ask(request);
    await world.advance(20);
    subscriber.input((session) => session.cancel(asked));
    await world.advance(20);
    expect(world.hub.counts.links).toBe(0);
    expect((await publish(world)).of('offer')).toEqual([]);
  });

  it('passes a refusal on, but not a code that a publisher has no say in', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const subscriber = await world.join();
    for (const [code, told] of [
      ['too_many_links', 'too_many_links'],
      ['invalid_secret', 'peer_refused'],
      ['from_the_future', 'peer_refused'],
    ]) {
      const asked = subscriber.ask(connectTo());
      await world.advance(20);
      const link = publisher.of('offer').at(-1)?.offer.link ?? '';
      publisher.input((session) => session.notify({ type: 'p2p_refuse', link, code: code ?? '' }));
      await world.advance(20);
      expect(subscriber.outcome(asked)).toBe(told);
    }
    expect(world.hub.counts.links).toBe(0);
  });

  it.each([
    ['peer_lost', 'peer_lost'],
    ['auth_failed', undefined],
    ['from_the_future', undefined],
  ])('a link that is closed with %s is closed with %s for the other side', async (code, told) => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    publisher.input((session) => session.notify({ type: 'p2p_close', link, code }));
    await world.advance(20);
    expect(subscriber.of('link_closed')).toMatchObject([{ link, code: told }]);
  });

  it('gives up on a publisher that does not answer within 10 s, and tells it', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const subscriber = await world.join();
    const asked = subscriber.ask(connectTo());
    await world.advance(9_900);
    expect(world.hub.counts.links).toBe(1);
    await world.advance(200);
    expect(subscriber.outcome(asked)).toBe('peer_timeout');
    expect(publisher.of('link_closed')).toMatchObject([{ code: 'peer_timeout' }]);
    agree(publisher);
    await world.advance(20);
    expect(eventsOf(world, 'link_open')).toEqual([]);
    expect(world.hub.counts.links).toBe(0);
  });

  it('ignores what a third party says about a link', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const stranger = await world.join();
    const subscriber = await world.join();
    const asked = subscriber.ask(connectTo());
    await world.advance(20);
    const link = publisher.of('offer')[0]?.offer.link ?? '';
    for (const client of [stranger, subscriber]) {
      client.input((session) => session.notify({ type: 'p2p_answer', link, answer: ANSWER, mac: MAC }));
      client.input((session) => session.notify({ type: 'p2p_refuse', link, code: 'peer_refused' }));
    }
    stranger.input((session) => session.notify({ type: 'p2p_close', link }));
    await world.advance(20);
    expect(eventsOf(world, 'link_open')).toEqual([]);
    expect(world.hub.counts.links).toBe(1);
    agree(publisher);
    await world.advance(20);
    expect(subscriber.outcome(asked)).toMatchObject({ type: 'p2p_answer' });
    stranger.input((session) => session.notify({ type: 'p2p_close', link }));
    await world.advance(20);
    expect(world.hub.counts.links).toBe(1);
    expect(stranger.session.online).toBe(true);
  });

  it('tells both parties when the relay ends a link', async () => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    world.input((hub, now) => hub.linkClosed(link, 'peer_lost', now));
    await world.advance(20);
    for (const party of [publisher, subscriber]) {
      expect(party.of('link_closed')).toEqual([{ type: 'link_closed', link, code: 'peer_lost' }]);
    }
    expect(eventsOf(world, 'link_closed')).toEqual([]);
  });

  it('ends the session of a client that uses a link id twice', async () => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    expect(await publisher.request(connectTo('game', { link }))).toBe('server_lost');
    expect(publisher.of('offline').at(-1)?.error.code).toBe('protocol_error');
    expect(subscriber.of('link_closed')).toMatchObject([{ link, code: 'peer_lost' }]);
  });
});

describe('names', () => {
  it('belong to the first identity', async () => {
    const world = new SignalingWorld();
    await publish(world);
    expect(await register(await world.join())).toBe('name_in_use');
  });

  it('move to the newest process of the same identity', async () => {
    const world = new SignalingWorld();
    const first = await publish(world);
    const second = await world.join({ identity: first.identity });
    expect(await register(second)).toMatchObject({ type: 'registered' });
    expect(first.of('replaced')).toEqual([{ type: 'replaced', name: 'game' }]);
    expect(world.hub.counts.tunnels).toBe(1);
    const subscriber = await world.join();
    subscriber.ask(connectTo());
    await world.advance(20);
    expect([first.of('offer').length, second.of('offer').length]).toEqual([0, 1]);
  });

  it('are free after unregister, and held for 60 s after a goodbye without', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    publisher.input((session) => session.notify({ type: 'unregister', name: 'game' }));
    await world.advance(20);
    const next = await publish(world);
    next.input((session) => session.stop());
    await world.advance(59_000);
    const other = await world.join();
    expect(await register(other)).toBe('name_in_use');
    await world.advance(1_000);
    expect(await register(other)).toMatchObject({ type: 'registered' });
  });

  it('are not kept when unregister overtakes the registry', async () => {
    const world = new SignalingWorld();
    const client = await world.join();
    client.ask({ type: 'register', name: 'game', secrets: [{ key_id: 0, hash: HASH }] });
    client.input((session) => session.notify({ type: 'unregister', name: 'game' }));
    await world.advance(20);
    expect(world.hub.counts.tunnels).toBe(0);
    expect(world.registry.size).toBe(0);
  });

  it('are limited for each session', async () => {
    const world = new SignalingWorld({ limits: { tunnels_per_session: 2 } });
    const publisher = await publish(world);
    expect(await register(publisher, 'two')).toMatchObject({ type: 'registered' });
    expect(await register(publisher, 'three')).toBe('too_many_tunnels');
    expect(await register(publisher, 'two')).toMatchObject({ type: 'registered' });
  });
});

describe('secrets and tokens', () => {
  it('refuses a wrong secret, and after 20 a minute any from that address', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const guesser = await world.join({ address: '192.0.2.99' });
    expect(await guesser.request(connectTo('game', { key_id: 1 }))).toBe('invalid_secret');
    for (let i = 1; i < 20; i++) {
      expect(await guesser.request(connectTo('game', { hash: WRONG }))).toBe('invalid_secret');
    }
    expect(await guesser.request(connectTo())).toBe('rate_limited');
    expect(publisher.of('offer')).toEqual([]);
    expect(world.hub.counts.links).toBe(0);
    const friend = await world.join();
    friend.ask(connectTo());
    await world.advance(20);
    expect(publisher.of('offer')).toHaveLength(1);
    await world.advance(60_000);
    guesser.ask(connectTo());
    await world.advance(20);
    expect(publisher.of('offer')).toHaveLength(2);
  });

  it('checks the secret of those who waited, too', async () => {
    const world = new SignalingWorld();
    const subscriber = await world.join();
    const asked = subscriber.ask(connectTo('game', { wait: true, hash: WRONG }));
    await world.advance(20);
    expect((await publish(world)).of('offer')).toEqual([]);
    expect(subscriber.outcome(asked)).toBe('invalid_secret');
  });

  it('refuses a wrong token for good, and limits guesses', async () => {
    const world = new SignalingWorld({ tokens: ['right'], limits: { failed_auth_per_ip_per_minute: 3 } });
    for (let i = 0; i < 3; i++) {
      const guesser = await world.join(i === 0 ? {} : { token: `guess ${i}` });
      expect(guesser.of('fatal').map(({ error }) => error.code)).toEqual(['auth_failed']);
    }
    const right = await world.join({ token: 'right' });
    expect(right.of('offline').map(({ error }) => error.code)).toEqual(['rate_limited']);
    expect((await world.join({ token: 'right', address: '192.0.2.9' })).session.online).toBe(true);
    await world.advance(60_000);
    expect(right.session.online).toBe(true);
    expect(world.hub.counts.connections).toBe(2);
  });

  it('refuses an identity that did not sign this challenge', async () => {
    const world = new SignalingWorld();
    const id = world.raw();
    const identity = Identity.generate();
    const signature = identity.sign('underpass/1 auth', Buffer.alloc(32)).toString('base64url');
    const key = identity.publicKey.toString('base64url');
    world.receive(
      id,
      JSON.stringify({ type: 'auth', protocol: 1, client_version: '', identity: key, signature }),
    );
    expect(JSON.parse(String(world.heard.get(id)?.[1]))).toMatchObject({
      type: 'auth_error',
      code: 'identity_invalid',
    });
    expect(world.heard.get(id)?.[2]).toBe(4001);
  });

  it('reloads tokens, limits and policy without dropping anybody', async () => {
    const world = new SignalingWorld({ tokens: ['old'] });
    const client = await world.join({ token: 'old' });
    const limits = { ...world.hub.limits, sessions: 1 };
    world.hub.reload({ limits, tokens: ['new'], direct: false, rememberOutcomes: true });
    expect((await world.join({ token: 'old' })).of('fatal')).toHaveLength(1);
    expect((await world.join({ token: 'new' })).of('offline')[0]?.error.code).toBe('server_full');
    expect(await register(client)).toMatchObject({ type: 'registered' });
    client.ask(connectTo());
    await world.advance(20);
    expect(client.of('offer')[0]?.offer.direct).toBe(false);
  });
});

describe('limits', () => {
  it('bounds sessions', async () => {
    const world = new SignalingWorld({ limits: { sessions: 2 } });
    await world.join();
    const second = await world.join();
    const third = await world.join();
    expect(third.of('offline')[0]?.error.code).toBe('server_full');
    second.input((session) => session.stop());
    await world.advance(15_000);
    expect(third.session.online).toBe(true);
  });

  it('bounds offers, links of a publisher, links of a subscriber, and links in all', async () => {
    const world = new SignalingWorld({ limits: { pending_offers: 2, links_per_publisher: 3, links: 5 } });
    const publisher = await publish(world);
    const subscriber = await world.join();
    const ask = (client: WorldClient, name = 'game', wait = false) =>
      client.request(connectTo(name, { wait }));
    expect(await ask(subscriber)).toBeUndefined();
    expect(await ask(subscriber)).toBeUndefined();
    expect(await ask(subscriber)).toBe('too_many_links');
    for (const { offer } of publisher.of('offer')) {
      publisher.input((session) =>
        session.notify({ type: 'p2p_answer', link: offer.link, answer: ANSWER, mac: MAC }),
      );
    }
    await world.advance(20);
    expect(await ask(subscriber)).toBeUndefined();
    expect(await ask(subscriber)).toBe('too_many_links');
    const other = await world.join();
    expect(await ask(other)).toBe('too_many_links');
    expect(await ask(other, 'parked', true)).toBeUndefined();
    expect(await ask(other, 'parked', true)).toBeUndefined();
    expect(await ask(await world.join(), 'elsewhere', true)).toBe('too_many_links');
    expect(world.hub.counts.links).toBe(5);
  });

  it('bounds those who wait for one name', async () => {
    const world = new SignalingWorld({ limits: { pending_offers: 1 } });
    const subscriber = await world.join();
    expect(await subscriber.request(connectTo('game', { wait: true }))).toBeUndefined();
    expect(await subscriber.request(connectTo('game', { wait: true }))).toBe('too_many_links');
  });

  it('leaves places for others where one address waits', async () => {
    const world = new SignalingWorld();
    const wait = (client: WorldClient, name = 'game') => client.request(connectTo(name, { wait: true }));
    for (let i = 0; i < 8; i++) {
      const stranger = await world.join({ address: `2001:db8:0:1::${i}` });
      expect(await wait(stranger)).toBeUndefined();
    }
    const stranger = await world.join({ address: '2001:db8:0:1:ffff::' });
    expect(await wait(stranger)).toBe('too_many_links');
    expect(await wait(stranger, 'elsewhere')).toBeUndefined();
    const friend = await world.join({ address: '2001:db8:0:2::1' });
    expect(await wait(friend)).toBeUndefined();
    expect((await publish(world)).of('offer')).toHaveLength(9);
    expect(await wait(stranger, 'game')).toBeUndefined();
  });
});

describe('a mistake of the server', () => {
  it('ends the session that ran into it, which is not told what it was', async () => {
    const world = new SignalingWorld();
    const client = await world.join();
    const other = await world.join();
    const { randomBytes } = world.runtime;
    world.runtime.randomBytes = (size) => {
      if (size === 16) throw new TypeError('the text of a bug');
      return randomBytes.call(world.runtime, size);
    };
    client.ask({ type: 'open_data' });
    await world.advance(20);
    expect(eventsOf(world, 'failure')).toMatchObject([{ error: { code: 'internal' } }]);
    expect(eventsOf(world, 'failure')[0]?.error.message).toContain('the text of a bug');
    const told = [...client.of('offline'), ...client.of('fatal')].map(({ error }) => error);
    expect(told).toMatchObject([{ code: 'internal' }]);
    expect(told[0]?.message).toContain('something went wrong on the server');
    expect(told[0]?.message).not.toContain('bug');
    expect(other.session.online).toBe(true);
  });
});

describe('a lost connection', () => {
  it('is resumed: the name, the links and what was said meanwhile are still there', async () => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    world.reachable = false;
    publisher.cut();
    await world.advance(1000);
    subscriber.ask(connectTo());
    await world.advance(1000);
    publisher.input((session) => session.notify({ type: 'p2p_close', link }));
    world.reachable = true;
    await world.advance(8000);
    expect(publisher.of('online').map(({ resumed }) => resumed)).toEqual([false, true]);
    expect(publisher.of('offer')).toHaveLength(2);
    expect(subscriber.of('link_closed')).toMatchObject([{ link }]);
    expect(world.hub.counts.tunnels).toBe(1);
  });

  it('is not offered links while it is away: who can wait does, and is offered when it is back', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const subscriber = await world.join({ address: '192.0.2.20' });
    world.reachable = false;
    publisher.cut();
    const asked = subscriber.ask(connectTo('game', { wait: true }));
    await world.advance(1000);
    expect(subscriber.of('waiting')).toHaveLength(1);
    world.reachable = true;
    await world.advance(8000);
    expect(publisher.of('online').at(-1)?.resumed).toBe(true);
    expect(publisher.of('offer')).toHaveLength(1);
    agree(publisher);
    await world.advance(20);
    expect(subscriber.outcome(asked)).toMatchObject({ type: 'p2p_answer' });
  });

  it('leaves what it has not answered to the process that takes its name', async () => {
    const world = new SignalingWorld();
    const identity = Identity.generate();
    const first = await world.join({ identity });
    await register(first);
    const subscriber = await world.join({ address: '192.0.2.20' });
    const request = connectTo();
    const asked = subscriber.ask(request);
    await world.advance(20);
    expect(first.of('offer')).toHaveLength(1);
    first.vanish();
    const second = await world.join({ identity });
    await register(second);
    await world.advance(20);
    expect(second.of('offer')).toMatchObject([{ offer: { link: request.link } }]);
    agree(second);
    await world.advance(20);
    expect(subscriber.outcome(asked)).toMatchObject({ type: 'p2p_answer' });
    expect(world.hub.sessions.get('s1')?.links.size).toBe(0);
    expect(world.hub.counts.links).toBe(1);
  });

  it('is over after 40 s; links end, and the name waits for its identity', async () => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    world.reachable = false;
    publisher.cut();
    await world.advance(39_900);
    expect(subscriber.of('link_closed')).toEqual([]);
    await world.advance(200);
    expect(subscriber.of('link_closed')).toEqual([{ type: 'link_closed', link, code: 'peer_lost' }]);
    expect(eventsOf(world, 'session_closed')).toEqual([{ type: 'session_closed', session: 's1' }]);
    expect(world.hub.counts).toMatchObject({ sessions: 1, tunnels: 0, links: 0 });
    expect(await register(subscriber)).toBe('name_in_use');
    world.reachable = true;
    await world.advance(16_000);
    expect(publisher.of('online').at(-1)?.resumed).toBe(false);
    expect(await register(publisher)).toMatchObject({ type: 'registered' });
  });

  it('is noticed by silence: by the server after 45 s, by the client when a pong is late', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    publisher.vanish();
    world.reachable = false;
    await world.advance(39_000);
    expect(publisher.of('offline')).toEqual([]);
    await world.advance(2_000);
    expect(publisher.of('offline')[0]?.error.code).toBe('heartbeat_timeout');
    expect(world.hub.counts.connections).toBe(1);
    await world.advance(5_000);
    expect(world.hub.counts).toMatchObject({ connections: 0, sessions: 1 });
  });

  it('is taken over while the server still believes in the old one', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    publisher.vanish();
    publisher.input((session, now) => session.closed(1006, now));
    await world.advance(300);
    expect(publisher.of('online').at(-1)?.resumed).toBe(true);
    expect(world.hub.counts).toMatchObject({ connections: 1, sessions: 1, tunnels: 1 });
    await world.advance(100_000);
    expect(publisher.of('offline')).toHaveLength(1);
  });

  it('cannot be resumed by another identity', async () => {
    const world = new SignalingWorld();
    await publish(world);
    const resume = world.hub.sessions.get('s1')?.id;
    const id = world.raw();
    const { challenge } = JSON.parse(String(world.heard.get(id)?.[0]));
    const thief = Identity.generate();
    const signature = thief.sign('underpass/1 auth', Buffer.from(challenge, 'base64url'));
    const identity = thief.publicKey.toString('base64url');
    const auth = { type: 'auth', protocol: 1, client_version: '', identity, resume };
    world.receive(id, JSON.stringify({ ...auth, signature: signature.toString('base64url') }));
    expect(JSON.parse(String(world.heard.get(id)?.[1]))).toMatchObject({ type: 'auth_ok', resumed: false });
    expect(world.hub.counts.sessions).toBe(2);
  });

  it('ends at once when too much waits for the client', async () => {
    const world = new SignalingWorld();
    const publisher = await publish(world);
    const subscriber = await world.join();
    world.reachable = false;
    publisher.cut();
    // An offer and the end of it, each time.
    for (let i = 0; i < 128; i++) {
      const asked = subscriber.ask(connectTo());
      await world.advance(10);
      subscriber.input((session) => session.cancel(asked));
      await world.advance(10);
    }
    expect(eventsOf(world, 'session_closed')).toEqual([]);
    expect(await subscriber.request(connectTo())).toBe('peer_lost');
    expect(eventsOf(world, 'session_closed')).toEqual([{ type: 'session_closed', session: 's1' }]);
    expect(world.hub.counts).toMatchObject({ sessions: 1, tunnels: 0, links: 0 });
  });
});

describe('data session ids', () => {
  it('work once, for 30 s, the latest only', async () => {
    const world = new SignalingWorld();
    const client = await world.join();
    const next = async () => {
      const response = await client.request({ type: 'open_data' });
      return typeof response === 'object' && response.type === 'data_ready' ? response.session_id : '';
    };
    const first = await next();
    const second = await next();
    expect(world.hub.takeDataSession(first)).toBeUndefined();
    expect(world.hub.takeDataSession(second)).toBe('s1');
    expect(world.hub.takeDataSession(second)).toBeUndefined();
    const third = await next();
    await world.advance(30_000);
    expect(world.hub.takeDataSession(third)).toBeUndefined();
    expect(world.hub.counts.dataIds).toBe(0);
  });
});

describe('the end', () => {
  it('drains: what is there goes on, nothing new begins', async () => {
    const world = new SignalingWorld();
    const { publisher, subscriber, link } = await linkUp(world);
    world.hub.drain();
    expect(await register(publisher, 'more')).toBe('server_restarting');
    expect(await subscriber.request(connectTo())).toBe('server_restarting');
    expect((await world.join()).of('offline')[0]?.error.code).toBe('server_restarting');
    subscriber.input((session) => session.notify({ type: 'p2p_close', link }));
    await world.advance(20);
    expect(publisher.of('link_closed')).toHaveLength(1);
    world.input((hub) => hub.shutdown());
    await world.advance(20);
    expect(publisher.of('offline')[0]?.error.code).toBe('server_restarting');
    expect(world.hub.counts.connections).toBe(0);
  });

  it('comes for whoever says nothing within 10 s', async () => {
    const world = new SignalingWorld();
    const id = world.raw();
    await world.advance(9_990);
    expect(world.heard.get(id)).toHaveLength(1);
    await world.advance(20);
    expect(world.heard.get(id)?.at(-1)).toBe(4000);
    expect(world.hub.counts.connections).toBe(0);
  });
});

describe('what a client says of its NAT', () => {
  const countsOf = ({ hub }: SignalingWorld) =>
    Object.fromEntries(Object.entries(hub.sessions.countByNat()).filter(([, count]) => count > 0));
  const report = (client: WorldClient, verdict = coneVerdict) =>
    client.input((session) => session.reportNat(verdict, false));
  const none = { unknown: 0, open: 0, cone: 0, symmetric: 0 };

  it('is counted by type, the last of each session', async () => {
    const world = new SignalingWorld();
    expect(world.hub.sessions.countByNat()).toMatchObject(none);
    const [one, two] = [await world.join(), await world.join()];
    await world.join();
    expect(countsOf(world)).toEqual({ unknown: 3 });
    report(one);
    report(two);
    await world.advance(10);
    expect(countsOf(world)).toEqual({ unknown: 1, 'port-restricted-cone': 2 });
    report(two, symmetricVerdict);
    await world.advance(10);
    expect(countsOf(world)).toEqual({ unknown: 1, 'port-restricted-cone': 1, symmetric: 1 });
    one.input((session) => session.stop());
    await world.advance(10);
    expect(countsOf(world)).toEqual({ unknown: 1, symmetric: 1 });
  });

  it('comes with a registration, too, and one without leaves it alone', async () => {
    const world = new SignalingWorld();
    const publisher = await world.join();
    const secrets = [{ key_id: 0, hash: HASH }];
    await publisher.request({ type: 'register', name: 'one', secrets, nat: symmetricVerdict });
    expect(countsOf(world)).toEqual({ symmetric: 1 });
    expect(await register(publisher, 'two')).toMatchObject({ type: 'registered' });
    expect(countsOf(world)).toEqual({ symmetric: 1 });
    report(publisher);
    await world.advance(10);
    expect(countsOf(world)).toEqual({ 'port-restricted-cone': 1 });
  });

  it('belongs to the session: a resumed one has it, a new one does not', async () => {
    const world = new SignalingWorld();
    const client = await world.join();
    report(client);
    await world.advance(10);
    client.cut();
    expect(countsOf(world)).toEqual({ 'port-restricted-cone': 1 });
    await world.advance(1000);
    expect(client.of('online').at(-1)).toMatchObject({ resumed: true });
    expect(countsOf(world)).toEqual({ 'port-restricted-cone': 1 });

    world.reachable = false;
    client.cut();
    await world.advance(41_000);
    expect(countsOf(world)).toEqual({});
    world.reachable = true;
    await world.advance(16_000);
    expect(client.of('online').at(-1)).toMatchObject({ resumed: false });
    expect(countsOf(world)).toEqual({ unknown: 1 });
  });

  it('is heard from nobody who has not proved who he is', async () => {
    const world = new SignalingWorld();
    const id = world.raw();
    world.receive(id, JSON.stringify({ type: 'nat', nat: coneVerdict }));
    expect(world.heard.get(id)?.at(-1)).toBe(4000);
    expect(countsOf(world)).toEqual({});
  });
});

describe('the greeting', () => {
  const greetingOf = (world: SignalingWorld) => JSON.parse(String(world.heard.get(world.raw())?.[0]));

  it('says where STUN is answered, if it is', () => {
    const world = new SignalingWorld();
    expect(greetingOf(world)).not.toHaveProperty('stun');
    world.hub.stun = { addresses: ['192.0.2.1'], ports: [3478, 3479] };
    expect(greetingOf(world).stun).toEqual({ addresses: ['192.0.2.1'], ports: [3478, 3479] });
  });
});
