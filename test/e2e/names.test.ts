import { expect } from 'vitest';
import { echo, listenPort, NAME, SECRET, test } from '../support/e2e.ts';

test('a subscriber that is there first waits, says so, and connects when the publisher comes', async ({
  world,
}) => {
  const server = await world.server();
  const service = await world.echoService();
  const subscriber = world.subscriber(server);
  await subscriber.event('waiting', { target: NAME });
  await world.publish(server, service.port);
  const port = await listenPort(subscriber);
  await subscriber.event('path', { target: NAME, kind: 'relayed' });
  expect(await echo(port)).toBe('ping');
});

test('with --no-reconnect it does not wait', async ({ world }) => {
  const server = await world.server();
  const subscriber = world.subscriber(server, { args: ['--no-reconnect'] });
  await subscriber.event('error', {
    code: 'tunnel_not_found',
    message: `P2P tunnel '${NAME}' not found`,
    retry: false,
  });
  await subscriber.event('closed', { target: NAME });
  expect(await subscriber.exit()).toBe(4);
});

test('a wrong secret is fatal, and wrong ones in a row are rate-limited', async ({ world }) => {
  const config = 'limits: { failed_auth_per_ip_per_minute: 2 }';
  const server = await world.server({ config });
  await world.publish(server, (await world.echoService()).port);
  for (const _ of [1, 2]) {
    const guesser = world.subscriber(server, { secret: 'not-the-secret-at-all' });
    await guesser.event('error', { code: 'invalid_secret', message: 'invalid P2P secret', retry: false });
    expect(await guesser.exit()).toBe(3);
  }
  // Now even the right one has to wait: nothing is compared any more.
  const late = world.subscriber(server, { args: ['--no-reconnect'] });
  await late.event('error', { code: 'rate_limited', retry: false });
  expect(await late.exit()).toBe(4);
});

test('a stranger does not get a name that is taken, nor one whose owner has just vanished', async ({
  world,
}) => {
  const server = await world.server();
  const service = await world.echoService();
  const owner = await world.publish(server, service.port);
  const refused = {
    code: 'name_in_use',
    message: `P2P tunnel name '${NAME}' is already in use`,
    retry: false,
  };

  const stranger = world.publisher(server, service.port, { user: 'stranger' });
  await stranger.event('error', refused);
  expect(await stranger.exit()).toBe(5);

  await owner.stop('SIGKILL');
  const opportunist = world.publisher(server, service.port, { user: 'stranger' });
  await opportunist.event('error', refused);
  expect(await opportunist.exit()).toBe(5);

  // The owner, by the same key, gets it back at once.
  await world.publish(server, service.port);
});

test('a name that was given back is free for anybody at once', async ({ world }) => {
  const server = await world.server();
  const service = await world.echoService();
  const owner = await world.publish(server, service.port);
  owner.kill('SIGINT');
  expect(await owner.exit()).toBe(0);
  expect(owner.events.at(-1)).toMatchObject({ event: 'closed', name: NAME });
  await world.publish(server, service.port, { user: 'stranger' });
});

test('the newest process of one identity takes the name, and the one before ends', async ({ world }) => {
  const server = await world.server();
  const [oldService, newService] = [
    await world.service((socket) => socket.end('old')),
    await world.service((socket) => socket.end('new')),
  ];
  const first = await world.publish(server, oldService.port);
  const subscriber = await world.subscribe(server);
  expect(await echo(subscriber.port)).toBe('old');

  await world.publish(server, newService.port);
  await first.event('error', { code: 'replaced', retry: false });
  expect(await first.exit()).toBe(5);
  await subscriber.program.event('ready', { role: 'subscriber' });
  expect(await echo(subscriber.port)).toBe('new');
});

test('several friends share one tunnel, and the publisher is told who comes and goes', async ({ world }) => {
  const server = await world.server();
  const publisher = await world.publish(server, (await world.echoService()).port);
  const one = await world.subscribe(server, { user: 'one' });
  const joined = await publisher.event('peer', { action: 'joined', name: NAME });
  expect(joined).toMatchObject({ peer: expect.any(String), address: '127.0.0.1' });
  expect(joined.identity).toMatch(/\S/);
  await publisher.event('path', { peer: joined.peer, kind: 'relayed' });
  const two = await world.subscribe(server, { user: 'two' });
  const other = await publisher.event('peer', { action: 'joined', name: NAME });
  expect(other.identity).not.toBe(joined.identity);

  expect(await Promise.all([echo(one.port, 'one'), echo(two.port, 'two')])).toEqual(['one', 'two']);
  await one.program.stop('SIGINT');
  await publisher.event('peer', { action: 'left', peer: joined.peer, identity: joined.identity });
  expect(await echo(two.port, 'still here')).toBe('still here');
});

test('a publisher that is somebody else than last time is announced loudly', async ({ world }) => {
  const server = await world.server();
  const service = await world.echoService();
  const first = await world.publish(server, service.port, { user: 'first' });
  const { program } = await world.subscribe(server);
  await first.stop('SIGINT');
  await world.publish(server, service.port, { user: 'second' });
  const changed = await program.event('identity_changed', { target: NAME });
  expect(changed.seen).not.toBe(changed.remembered);
  await program.event('ready', { role: 'subscriber' });
  await program.stop('SIGINT');

  // Each change is told once.
  const again = await world.subscribe(server);
  expect(again.program.events.map(({ event }) => event)).not.toContain('identity_changed');
});

test('publisher and subscriber may be one user', async ({ world }) => {
  const server = await world.server();
  await world.publish(server, (await world.echoService()).port, { user: 'same' });
  const { port } = await world.subscribe(server, { user: 'same' });
  expect(await echo(port, SECRET.slice(0, 4))).toBe(SECRET.slice(0, 4));
});
