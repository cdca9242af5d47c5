import { describe, expect } from 'vitest';
import { echo, NAME, test } from '../support/e2e.ts';
import { Middlebox } from '../support/e2e-middlebox.ts';

test.for(['ws', 'wss'] as const)(
  '%s: a server killed and started again, while both clients live: connections go on',
  async (scheme, { world }) => {
    const server = await world.server({ scheme });
    const publisher = await world.publish(server, (await world.echoService()).port);
    const subscriber = await world.subscribe(server);
    const open = await world.wire(subscriber.port);
    open.send('hello');
    expect(await open.read(5)).toBe('hello');

    await server.program.stop('SIGKILL');
    await publisher.event('error', { retry: true });
    await subscriber.program.event('path', { kind: 'none' });
    open.send('meanwhile');
    await world.server({ scheme, port: server.port });
    await Promise.all([
      publisher.event('ready', { role: 'publisher', name: NAME }),
      subscriber.program.event('ready', { role: 'subscriber', target: NAME }),
    ]);
    expect(await open.read(9)).toBe('meanwhile');
    expect(await echo(subscriber.port)).toBe('ping');
    // The same link all along.
    expect(publisher.events.filter(({ event }) => event === 'peer')).toHaveLength(1);
  },
);

test('a publisher killed and started again: open connections are reset by the new one, new ones work within 3 s', async ({
  world,
}) => {
  const server = await world.server();
  const service = await world.echoService();
  const publisher = await world.publish(server, service.port);
  const subscriber = await world.subscribe(server);
  const open = await world.wire(subscriber.port);
  open.send('hello');
  expect(await open.read(5)).toBe('hello');

  await publisher.stop('SIGKILL');
  await subscriber.program.event('path', { kind: 'none' });
  const started = performance.now();
  const again = await world.publish(server, service.port);
  const ready = performance.now();
  expect(await echo(subscriber.port)).toBe('ping');
  const served = performance.now();
  // The new one has forgotten the link, and what was on it.
  expect(await open.closed).toBe('reset');
  const [start, serve] = [served - started, served - ready].map(Math.round);
  process.stdout.write(`publisher restart: served ${start} ms after its start, ${serve} ms after ready\n`);
  expect(served - started).toBeLessThan(3000);
  await again.event('peer', { action: 'joined' });
});

test('a subscriber that is killed and started again works at once', async ({ world }) => {
  const server = await world.server();
  await world.publish(server, (await world.echoService()).port);
  for (const _ of [1, 2, 3]) {
    const { program, port } = await world.subscribe(server);
    expect(await echo(port)).toBe('ping');
    await program.stop('SIGKILL');
  }
});

describe.concurrent('a connection made while the link is down', () => {
  test('is served once the link is up', async ({ world }) => {
    const server = await world.server();
    const service = await world.echoService();
    const publisher = await world.publish(server, service.port);
    const subscriber = await world.subscribe(server);
    await publisher.stop('SIGKILL');
    await subscriber.program.event('waiting', { target: NAME });
    const held = echo(subscriber.port, 'patience');
    await world.publish(server, service.port);
    expect(await held).toBe('patience');
  });

  test('is closed after 10 s without one', async ({ world }) => {
    const server = await world.server();
    const publisher = await world.publish(server, (await world.echoService()).port);
    const subscriber = await world.subscribe(server, { args: ['--grace', '1'] });
    await publisher.stop('SIGKILL');
    await subscriber.program.event('waiting', { target: NAME });
    const from = performance.now();
    const held = await world.wire(subscriber.port);
    expect(await held.closed).toBe('reset');
    const waited = performance.now() - from;
    expect(waited).toBeGreaterThan(9500);
    expect(waited).toBeLessThan(12_000);
  });
});

test('a middlebox cuts /_control: open connections go on, and the session resumes', async ({ world }) => {
  const server = await world.server();
  const box = await Middlebox.start(server.port);
  world.onEnd(() => box.close());
  const publisher = await world.publish(box, (await world.echoService()).port);
  const subscriber = await world.subscribe(box);
  const open = await world.wire(subscriber.port);
  open.send('before');
  expect(await open.read(6)).toBe('before');

  box.block(true);
  expect(box.cut('/_control')).toBe(2);
  await Promise.all([
    publisher.event('error', { retry: true }),
    subscriber.program.event('error', { retry: true }),
  ]);
  expect(box.paths).toEqual(['/_data/…', '/_data/…']);
  open.send('during');
  expect(await open.read(6)).toBe('during');
  expect(await echo(subscriber.port, 'a new one')).toBe('a new one');

  box.block(false);
  await Promise.all([publisher.event('ready'), subscriber.program.event('ready')]);
  open.end('after');
  expect(await open.readAll()).toBe('after');
  // The same link all along: nobody left, and nobody joined again.
  expect(publisher.events.filter(({ event }) => event === 'peer')).toHaveLength(1);
  expect(subscriber.program.events.filter(({ event }) => event === 'path')).toHaveLength(1);
});

test.for(['publisher', 'subscriber'] as const)(
  'a middlebox cuts the /_data of the %s: connections go on, new ones work',
  async (victim, { world }) => {
    const server = await world.server();
    const box = await Middlebox.start(server.port);
    world.onEnd(() => box.close());
    await world.publish(victim === 'publisher' ? box : server, (await world.echoService()).port);
    const subscriber = await world.subscribe(victim === 'subscriber' ? box : server);
    const open = await world.wire(subscriber.port);
    open.send('hello');
    expect(await open.read(5)).toBe('hello');
    expect(box.cut('/_data')).toBe(1);
    open.send('again');
    expect(await open.read(5)).toBe('again');
    expect(await echo(subscriber.port)).toBe('ping');
  },
);

test('a local service that is down: reset promptly, told on both sides, and fine once it is up', async ({
  world,
}) => {
  const server = await world.server();
  const service = await world.echoService();
  service.close();
  const publisher = await world.publish(server, service.port);
  const subscriber = await world.subscribe(server);
  const from = performance.now();
  const refused = await world.wire(subscriber.port);
  expect(await refused.closed).toBe('reset');
  expect(performance.now() - from).toBeLessThan(2000);
  const error = { code: 'service_unreachable', retry: true };
  await Promise.all([publisher.event('error', error), subscriber.program.event('error', error)]);

  await world.echoService(service.port);
  expect(await echo(subscriber.port)).toBe('ping');
});
