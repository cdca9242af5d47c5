import { describe, expect, it } from 'vitest';
import { Identity } from '../../src/identity.ts';
import { type ClientMessage, encode } from '../../src/signaling/messages.ts';
import { Random } from '../support/random.ts';
import { SignalingWorld } from '../support/signaling-world.ts';
import { coneVerdict, symmetricVerdict } from '../support/verdict.ts';

const SEEDS = [1, 2, 3, 4, 5];
const b64u = (bytes: Buffer) => bytes.toString('base64url');

/** Connects and authenticates by hand. */
function intrude(world: SignalingWorld, identity: Identity): number {
  const id = world.raw();
  const { challenge } = JSON.parse(String(world.heard.get(id)?.[0]));
  const signature = b64u(identity.sign('underpass/1 auth', Buffer.from(challenge, 'base64url')));
  const who = { identity: b64u(identity.publicKey), signature };
  world.receive(id, encode({ type: 'auth', protocol: 1, client_version: 'x', ...who }));
  return id;
}

/** A message that is right in form, and often in content: names and links that others use. */
function plausible(random: Random, links: [string, ...string[]]): string {
  const link = random.pick(links);
  const name = random.pick(['game', 'chess', 'go']);
  const request_id = `r${random.integer(5)}`;
  const hash = random.pick(['ab', 'cd']).repeat(32);
  const mac = b64u(Buffer.alloc(32));
  return encode(
    random.pick<ClientMessage>([
      { type: 'ping', timestamp: random.integer(1000) },
      { type: 'register', request_id, name, secrets: [{ key_id: 0, hash }] },
      { type: 'unregister', name },
      {
        type: 'p2p_connect',
        request_id,
        link,
        name,
        key_id: 0,
        hash,
        offer: 'AA',
        mac,
        wait: random.next() < 0.5,
      },
      { type: 'p2p_answer', link, answer: 'AA', mac },
      { type: 'p2p_refuse', link, code: 'peer_refused' },
      { type: 'p2p_close', link },
      { type: 'open_data', request_id },
      { type: 'nat', nat: random.pick([coneVerdict, symmetricVerdict]), lan: random.next() < 0.5 },
      { type: 'p2p_message', link, body: 'AAAA', mac },
      { type: 'p2p_armed', link, step: random.integer(6) },
      {
        type: 'p2p_result',
        link,
        step: random.integer(6),
        result: random.pick(['direct', 'failed', 'refused']),
      },
      { type: 'p2p_again', link, search: random.integer(4) },
      { type: 'p2p_bytes', link, received: random.integer(1000) },
    ]),
  );
}

function mutate(random: Random, text: string): string {
  const at = random.integer(text.length);
  switch (random.integer(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + String.fromCharCode(random.integer(0x250)) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(random.integer(text.length));
    default:
      return text.replace(/"\w+"/, () =>
        random.pick(['null', '1', '[]', '{}', '"__proto__"', '"constructor"']),
      );
  }
}

describe.each(SEEDS)('a hostile crowd (seed %d)', (seed) => {
  it('disturbs nobody else and leaves nothing behind', async () => {
    const random = new Random(seed);
    // Guesses are not limited here: that ends connections for a reason of its own.
    const limits = { tunnels_per_session: 2, links: 50, failed_auth_per_ip_per_minute: 1_000_000 };
    const world = new SignalingWorld({ limits }, seed);
    const bystander = await world.join({ address: '192.0.2.1' });
    await bystander.request({
      type: 'register',
      name: 'quiet',
      secrets: [{ key_id: 0, hash: 'ef'.repeat(32) }],
    });
    const identities = [Identity.generate(), Identity.generate()] as const;
    const links = Array.from({ length: 8 }, () => b64u(random.bytes(16))) as [string, ...string[]];
    const intruders: number[] = [];
    for (let step = 0; step < 1500; step++) {
      if (intruders.length < 6) intruders.push(intrude(world, random.pick([...identities])));
      const id = random.pick(intruders as [number, ...number[]]);
      const text = plausible(random, links);
      world.receive(id, random.integer(10) === 0 ? mutate(random, text) : text);
      if (random.integer(20) === 0) {
        world.input((hub, now) => hub.disconnect(id, random.integer(2) === 0, now));
        intruders.splice(intruders.indexOf(id), 1);
      }
      const closed = intruders.findIndex((one) => typeof world.heard.get(one)?.at(-1) === 'number');
      if (closed >= 0) {
        // The reason came before the close.
        const reason = JSON.parse(String(world.heard.get(intruders[closed] ?? 0)?.at(-2)));
        expect(reason.code, `seed ${seed}, step ${step}`).toBe('protocol_error');
        intruders.splice(closed, 1);
      }
      if (random.integer(5) === 0) await world.advance(random.integer(500));
      expect(world.hub.counts.links).toBeLessThanOrEqual(50);
    }
    expect(world.events.filter(({ type }) => type === 'failure').length).toBeGreaterThan(50);
    expect(bystander.of('offline')).toEqual([]);
    expect(bystander.session.online).toBe(true);
    for (const id of intruders) world.input((hub, now) => hub.disconnect(id, false, now));
    await world.advance(45_000);
    expect(world.hub.counts).toEqual({
      connections: 1,
      sessions: 1,
      tunnels: 1,
      links: 0,
      punches: 0,
      dataIds: 0,
    });
    expect(world.registry.size).toBe(1);
    bystander.input((session) => session.stop());
    await world.advance(61_000);
    expect(world.hub.counts).toEqual({
      connections: 0,
      sessions: 0,
      tunnels: 0,
      links: 0,
      punches: 0,
      dataIds: 0,
    });
    expect(world.hub.pollTimeout()).toBeUndefined();
  });

  it('gets a typed error for noise, before and after it has proved itself', () => {
    const random = new Random(seed);
    const world = new SignalingWorld({}, seed);
    for (let i = 0; i < 100; i++) {
      const id = i % 2 === 0 ? world.raw() : intrude(world, Identity.generate());
      world.receive(id, random.bytes(random.integer(200)).toString('latin1'));
      const [reason, code] = world.heard.get(id)?.slice(-2) ?? [];
      expect(JSON.parse(String(reason))).toMatchObject({ code: 'protocol_error' });
      expect(code).toBe(4000);
      world.receive(id, '{}');
      expect(world.heard.get(id)?.at(-1)).toBe(4000);
    }
    expect(world.hub.counts).toMatchObject({ connections: 0, sessions: 0 });
  });
});
