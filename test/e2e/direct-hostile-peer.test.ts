import { expect, vi } from 'vitest';
import { deriveTunnelKey, secretHash } from '../../src/identity.ts';
import { sealProbe } from '../../src/punch/probe.ts';
import { echo, NAME, SECRET, type World } from '../support/e2e.ts';
import {
  directPath,
  goDirect,
  goodAndBad,
  NO_ROUTER,
  nativeQuiche,
  publishDirect,
  remotePort,
  searchOver,
  subscribeDirect,
  test,
} from '../support/e2e-direct.ts';
import type { Message, Tricks } from '../support/e2e-hostile-server.ts';
import { LinkSecrets } from '../support/e2e-link-secrets.ts';
import { strangersInitial } from '../support/e2e-quic-stranger.ts';
import { UdpEar } from '../support/e2e-udp.ts';

/** Where a peer that knows the secret would like packets to be sent. */
async function traps(world: World, count: number): Promise<UdpEar[]> {
  return Promise.all(Array.from({ length: count }, () => UdpEar.open(world)));
}

/** Says something in the publisher's name in place of what it says itself. */
function impersonation(secrets: LinkSecrets, say: (message: Message) => readonly Message[]): Tricks {
  return {
    edit: (message) => secrets.watch(message),
    instead: (message, from) =>
      message.type === 'p2p_message' && from === 'server' ? say(message) : undefined,
  };
}

test('a peer that names addresses everywhere: sixteen get a few probes, the rest none', async ({ world }) => {
  const ears = await traps(world, 24);
  const secrets = new LinkSecrets();
  const { good, bad } = await goodAndBad(world, {
    edit: (message) => secrets.watch(message),
    // Nobody is to answer it: the publisher does not hear where it is.
    instead: ({ type }) => (type === 'p2p_message' ? [] : undefined),
  });
  await publishDirect(world, good, (await world.echoService()).port);
  const { program, port } = await subscribeDirect(world, bad);
  const candidates = ears.map(({ address, port }) => ({ kind: 'host', address, port }) as const);
  const bodies = [0, 8, 16].map(
    (at) => ({ kind: 'candidates', candidates: candidates.slice(at, at + 8) }) as const,
  );
  for (const message of await secrets.messages('publisher', bodies)) bad.say(message);
  await searchOver(program);
  expect(await echo(port)).toBe('ping');
  const heard = await Promise.all(ears.map((ear) => ear.heard()));
  const counts = heard.map((packets) => packets.length).filter((count) => count > 0);
  process.stdout.write(`probes to each of the addresses that a peer made up: ${counts.join(' ')}\n`);
  expect(counts.length).toBeLessThanOrEqual(16);
  expect(Math.max(...counts)).toBeLessThanOrEqual(10);
});

test('predictions for steps that are not under way are void', async ({ world }) => {
  const [ear] = await traps(world, 1);
  if (ear === undefined) throw new Error('no ear');
  const secrets = new LinkSecrets();
  let own: Message | undefined;
  const { good, bad } = await goodAndBad(
    world,
    impersonation(secrets, (message) => {
      own = message;
      return [];
    }),
  );
  await publishDirect(world, good, (await world.echoService()).port);
  const { program, port } = await subscribeDirect(world, bad);
  const { address } = ear;
  const predicted = (step: number) =>
    ({ kind: 'prediction', step, prediction: { address, ports: [ear.port], strategy: 'bracket' } }) as const;
  const ranges = (step: number) =>
    ({ kind: 'prediction', step, prediction: { address, first: 1024, last: 65_535 } }) as const;
  const bodies = [0, 2 ** 31, 999].flatMap((step) => [predicted(step), ranges(step)]);
  const made = await secrets.messages('publisher', bodies);
  // The numbers go on from there, so that what the publisher has said itself is old by then: it is said first.
  await vi.waitFor(() => expect(own).toBeDefined(), 10_000);
  for (const message of [own as Message, ...made.slice(1)]) bad.say(message);
  await directPath(program);
  expect(await echo(port)).toBe('ping');
  expect(await ear.heard()).toEqual([]);
  expect(program.events.filter(({ event }) => event === 'error')).toEqual([]);
});

test('strangers get no answer: neither a wrong key, nor a packet that was heard elsewhere, nor QUIC', async ({
  world,
}) => {
  const secrets = new LinkSecrets();
  const { bad } = await goodAndBad(world, { edit: (message) => secrets.watch(message) });
  const service = await world.echoService();
  const at = { publisher: bad, subscriber: bad };
  const { subscriber, published, subscribed } = await goDirect(world, at, service.port);
  const [stranger, peer, replayer] = await traps(world, 3);
  if (!stranger || !peer || !replayer) throw new Error('no ears');
  const [right, wrong] = [await secrets.probeKeys(), await secrets.probeKeys(`${SECRET}!`)];
  const { link } = secrets;
  const initial = await strangersInitial(nativeQuiche());
  const victims = [
    { role: 'subscriber', port: remotePort(subscribed) },
    { role: 'publisher', port: remotePort(published) },
  ] as const;
  for (const { role, port } of victims) {
    // `remote` is where the other one is: the port of the publisher in the subscriber's event.
    const probe = (keys: typeof right, transactionId: string) =>
      sealProbe({ transactionId: Buffer.from(transactionId) }, { link, role, key: keys[role] });
    for (let i = 0; i < 100; i++) await stranger.send(probe(wrong, `wrong ${i}`.padEnd(12)), port);
    const valid = probe(right, `valid ${port}`.padEnd(12));
    const before = (await peer.heard()).length;
    await peer.send(valid, port);
    // A probe that is right is answered wherever it comes from: that is how a peer's address is learned.
    await vi.waitFor(async () => expect((await peer.heard()).length).toBeGreaterThan(before), 5000);
    for (let i = 0; i < 100; i++) await replayer.send(valid, port);
    for (const ear of [stranger, peer, replayer]) {
      await ear.send(initial, port);
      await ear.send(Buffer.concat([Buffer.from([0x40]), Buffer.alloc(60, 7)]), port);
    }
  }
  // All of it has been read by the time this has come back, because it goes through the same two sockets.
  expect(await echo(subscriber.port)).toBe('ping');
  expect(await stranger.heard()).toEqual([]);
  expect(await replayer.heard()).toEqual([]);
  // Probes, all of them: the address has yet to answer one, and QUIC says nothing to it.
  for (const packet of await peer.heard()) expect(packet[0]).toBeLessThan(4);
});

test('a subscriber with another secret: refused, before the publisher says or sends it anything', async ({
  world,
}) => {
  const trap = await UdpEar.open(world);
  const said: Message[] = [];
  const hash = secretHash(await deriveTunnelKey(SECRET, NAME));
  const wrong = 'another-secret-of-the-tests-01234';
  const secrets = new LinkSecrets();
  const { bad } = await goodAndBad(world, {
    edit: (message, from) => {
      secrets.watch(message);
      // The server takes its side, and lets it in.
      if (message.type === 'p2p_connect') message.hash = hash;
      if (from === 'client') said.push(message);
    },
    instead: (message) => {
      if (message.type !== 'p2p_offer') return undefined;
      const link = String(message.link);
      const plan = { strategies: ['host', 'direct'], tries: 16 };
      const body = {
        number: 1,
        kind: 'candidates',
        candidates: [{ kind: 'host', address: trap.address, port: trap.port }],
      };
      const text = Buffer.from(JSON.stringify(body)).toString('base64url');
      return [
        message,
        { type: 'p2p_message', link, body: text, mac: Buffer.alloc(32).toString('base64url') },
        { type: 'p2p_step', link, search: 1, step: 1, attempt: 1, plan },
        { type: 'p2p_go', link, step: 1 },
      ];
    },
  });
  const publisher = await publishDirect(world, bad, (await world.echoService()).port);
  const subscriber = world.subscriber(bad, { secret: wrong, args: NO_ROUTER });
  await publisher.event('error', { code: 'peer_unverified' });
  await subscriber.event('error', { code: 'peer_unverified', retry: false });
  expect(await subscriber.exit()).toBe(3);
  const about = said.filter(({ link }) => link !== undefined).map(({ type }) => type);
  expect(about).toContain('p2p_connect');
  for (const type of ['p2p_answer', 'p2p_message', 'p2p_armed', 'p2p_result'])
    expect(about).not.toContain(type);
  expect(await trap.heard()).toEqual([]);
  // Whoever has the secret is served as ever.
  const friend = await subscribeDirect(world, bad, []);
  expect(await echo(friend.port)).toBe('ping');
});
