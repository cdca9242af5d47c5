import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, vi } from 'vitest';
import { echo, type Program, test as relayed, type TestServer, type World } from '../support/e2e.ts';
import { directPath, NO_ROUTER, pathsOf, STUN, test } from '../support/e2e-direct.ts';
import { Middlebox } from '../support/e2e-middlebox.ts';
import { download, mebibytes } from '../support/e2e-transfer.ts';

const MIB = 1024 * 1024;
/** More than the kernel and the programs at the end of the line have in their buffers: it came by the new way. */
const PROGRESS = 16 * MIB;
const PATIENCE = 30_000;

/** How long a link may be without a carrier. */
const GRACE_SECONDS = 3;
const GRACE = ['--grace', String(GRACE_SECONDS)];

const RELAY = ['--mode', 'relay'];

/** A server behind a middlebox that does not remember what passes. */
async function behindBox(world: World, server: TestServer): Promise<Middlebox> {
  const box = await Middlebox.start(server.port, [], false);
  world.onEnd(() => box.close());
  return box;
}

/** The `path` events of a program since it had so many. */
function pathsSince(program: Program, count: number): readonly string[] {
  return pathsOf(program).slice(count);
}

/** Waits until a program says, after so many `path` events, that it goes this way. */
function goes(program: Program, kind: 'direct' | 'relayed', since: number): Promise<void> {
  const said = () => pathsSince(program, since).some((path) => path.startsWith(kind));
  return program.until(said, `path ${kind}`, PATIENCE);
}

/** The direct path goes dead, because one of the two says nothing any more; then it does again. */
async function loseDirect(publisher: Program, subscriber: Program): Promise<void> {
  const count = pathsOf(subscriber).length;
  publisher.kill('SIGSTOP');
  try {
    await goes(subscriber, 'relayed', count);
  } finally {
    publisher.kill('SIGCONT');
  }
}

test('1 GiB, byte for byte, over six changes of path', { timeout: 120_000 }, async ({ world }) => {
  let changed = false;
  const loaded = await download(world, (blocks) => changed && mebibytes(1024)(blocks));
  const server = await world.server({ config: 'p2p: { direct_enabled: false }' });
  const box = await behindBox(world, server);
  const options = { args: NO_ROUTER };
  const publisher = await world.publish(box, loaded.service.port, options);
  const subscriber = await world.subscribe(box, options);
  const result = loaded.run(subscriber.port);
  const progress = async () => {
    const from = loaded.arrived;
    const isThere = () => expect(loaded.arrived).toBeGreaterThan(from + PROGRESS);
    // Whatever ends it too early fails it.
    await Promise.race([vi.waitFor(isThere, { timeout: PATIENCE, interval: 20 }), result]);
  };
  await progress();

  expect(box.cut('/_data')).toBe(2);
  await progress();

  await server.program.stop('SIGKILL');
  await delay(500);
  const before = pathsOf(subscriber.program).length;
  await world.server({ ...STUN, port: server.port });
  await progress();

  await goes(subscriber.program, 'direct', before);
  await progress();

  const whileDirect = pathsOf(subscriber.program).length;
  await loseDirect(publisher, subscriber.program);
  await progress();

  const sinceLost = pathsOf(subscriber.program).findLastIndex((path) => path.startsWith('relayed'));
  expect(sinceLost).toBeGreaterThanOrEqual(whileDirect);
  await goes(subscriber.program, 'direct', sinceLost + 1);
  await progress();

  // The direct path carries alone.
  box.block(true);
  expect(box.cut('/')).toBeGreaterThanOrEqual(2);
  await progress();
  box.block(false);
  changed = true;

  const { sent, received } = await result;
  expect(received).toEqual(sent);
  expect(received.bytes).toBeGreaterThanOrEqual(1024 * MIB);
  process.stdout.write(`${received.bytes / MIB} MiB by: ${pathsOf(subscriber.program).join(', ')}\n`);
});

relayed('half-closed connections keep their halves when the relay is lost', async ({ world }) => {
  const server = await world.server();
  const box = await behindBox(world, server);
  const service = await world.counterpart();
  await world.publish(box, service.port, { args: RELAY });
  const subscriber = await world.subscribe(box, { args: RELAY });

  const first = await world.wire(subscriber.port);
  first.end('question');
  const answering = await service.accept();
  expect(await answering.readAll()).toBe('question');
  const second = await world.wire(subscriber.port);
  second.send('hello');
  const greeting = await service.accept();
  expect(await greeting.read(5)).toBe('hello');
  greeting.end('that is all');
  expect(await second.readAll()).toBe('that is all');

  expect(box.cut('/_data')).toBe(2);
  // Written while there is no path.
  answering.send('an answer, ');
  second.send('I go on, ');
  expect(await first.read(11)).toBe('an answer, ');
  expect(await greeting.read(9)).toBe('I go on, ');
  expect(box.cut('/_data')).toBeGreaterThan(0);
  // Even the last byte.
  answering.end('and more');
  second.end('and end');
  expect(await first.readAll()).toBe('and more');
  expect(await greeting.readAll()).toBe('and end');
  expect(await Promise.all([first, answering, second, greeting].map(({ closed }) => closed))).toEqual([
    'ended',
    'ended',
    'ended',
    'ended',
  ]);
});

/** A publisher, and two subscribers: one reaches it by the relay, the other directly. Each has a connection. */
async function bothWays(world: World, service: number, args: readonly string[] = []) {
  const server = await world.server(STUN);
  const publisher = await world.publish(server, service, { args: [...NO_ROUTER, ...args] });
  const join = async (user: string, own: readonly string[]) => {
    const { program, port } = await world.subscribe(server, { user, args: [...own, ...args] });
    const wire = await world.wire(port);
    wire.send('before');
    return { program, port, wire };
  };
  const relayed = await join('relayed', RELAY);
  const direct = await join('direct', NO_ROUTER);
  await Promise.all([directPath(direct.program), directPath(publisher)]);
  return { server, publisher, relayed, direct };
}

describe.concurrent('for a while', () => {
  test('the server does not come back: a reset after the grace, and nothing where it goes directly', async ({
    world,
  }) => {
    const service = await world.counterpart();
    const { server, relayed, direct } = await bothWays(world, service.port, GRACE);
    const accepted = [await service.accept(), await service.accept()] as const;
    for (const far of accepted) {
      expect(await far.read(6)).toBe('before');
      far.send('and');
    }
    const [far, farDirect] = accepted;
    expect(await direct.wire.read(3)).toBe('and');
    expect(await relayed.wire.read(3)).toBe('and');

    const killed = performance.now();
    await server.program.stop('SIGKILL');
    relayed.wire.send('lost');
    const took = async (wire: typeof far) => {
      expect(await wire.closed).toBe('reset');
      return (performance.now() - killed) / 1000;
    };
    for (const seconds of await Promise.all([took(relayed.wire), took(far)])) {
      expect(seconds).toBeGreaterThan(GRACE_SECONDS - 0.5);
      expect(seconds).toBeLessThan(GRACE_SECONDS + 5);
    }
    await delay(2000);
    direct.wire.end('after');
    expect(await farDirect.readAll()).toBe('after');
    farDirect.end();
    expect(await direct.wire.closed).toBe('ended');
  });

  // A laptop's lid, for as long as most servers and routers remember.
  const LID = 20_000;

  for (const victim of ['subscriber', 'publisher'] as const) {
    test(`the ${victim} is stopped for 20 s`, { timeout: 120_000 }, async ({ world }) => {
      const service = await world.echoService();
      const { publisher, relayed, direct } = await bothWays(world, service.port);
      const ways = { relayed, direct };
      for (const { wire } of [relayed, direct]) expect(await wire.read(6)).toBe('before');
      const stopped = victim === 'publisher' ? [publisher] : [relayed.program, direct.program];
      for (const program of stopped) program.kill('SIGSTOP');
      // What is written meanwhile is not forgotten.
      for (const { wire } of [relayed, direct]) wire.send('during');
      await delay(LID);
      for (const program of stopped) program.kill('SIGCONT');
      const opened = performance.now();
      const goOn = async ([way, { wire, port }]: [string, typeof relayed]) => {
        wire.end('after');
        expect(await wire.readAll()).toBe('duringafter');
        expect(await wire.closed).toBe('ended');
        const seconds = (performance.now() - opened) / 1000;
        process.stdout.write(`${way}, the ${victim} stopped: went on after ${seconds.toFixed(1)} s\n`);
        expect(await echo(port, 'a new one')).toBe('a new one');
      };
      await Promise.all(Object.entries(ways).map(goOn));
    });
  }
});

describe.each([
  ['relayed', RELAY],
  ['direct', NO_ROUTER],
] as const)('%s: who leaves, and who forgets', (way, args) => {
  async function connected(world: World, more: readonly string[] = []) {
    const server = await world.server(way === 'direct' ? STUN : {});
    const service = await world.counterpart();
    const options = { args: [...args, ...more] };
    const publisher = await world.publish(server, service.port, options);
    const { program: subscriber, port } = await world.subscribe(server, options);
    if (way === 'direct') await Promise.all([directPath(subscriber), directPath(publisher)]);
    const near = await world.wire(port);
    near.send('hello');
    const far = await service.accept();
    expect(await far.read(5)).toBe('hello');
    return { server, service, publisher, subscriber, near, far, options };
  }

  test('a publisher that was restarted knows nothing: reset as soon as it is met', async ({ world }) => {
    const { server, service, publisher, near, options } = await connected(world);
    await publisher.stop('SIGKILL');
    await world.publish(server, service.port, options);
    const ready = performance.now();
    expect(await near.closed).toBe('reset');
    // Long before the grace has passed, which is 60 s.
    expect(performance.now() - ready).toBeLessThan(10_000);
  });

  test('who leaves is gone at once, at the other end', async ({ world }) => {
    const { server, service, publisher, subscriber, far, options } = await connected(world);
    const asked = performance.now();
    subscriber.kill('SIGINT');
    await publisher.event('peer', { action: 'left' });
    expect(performance.now() - asked).toBeLessThan(2000);
    expect(await far.closed).toBe('reset');
    expect(await subscriber.exit()).toBe(0);

    const another = await world.subscribe(server, options);
    const near = await world.wire(another.port);
    near.send('hello');
    expect(await (await service.accept()).read(5)).toBe('hello');
    const askedAgain = performance.now();
    publisher.kill('SIGINT');
    expect(await near.closed).toBe('reset');
    expect(performance.now() - askedAgain).toBeLessThan(2000);
    await another.program.event('error', { code: 'peer_left' });
    await another.program.event('waiting');
  });

  test('a subscriber that is killed is gone at the end of the grace', async ({ world }) => {
    const { publisher, subscriber, far } = await connected(world, GRACE);
    await subscriber.stop('SIGKILL');
    expect(await far.closed).toBe('reset');
    await publisher.event('peer', { action: 'left' }, PATIENCE);
  });
});
