import { describe, expect } from 'vitest';
import { echo, NAME } from '../support/e2e.ts';
import {
  directPath,
  goDirectOnServer,
  NO_ROUTER,
  pathsOf,
  publishDirect,
  STUN,
  test,
} from '../support/e2e-direct.ts';
import { mebibytes, transfer } from '../support/e2e-transfer.ts';

// A dead path is given up after some heartbeats: these wait side by side.
describe.concurrent('one side is killed', () => {
  test('a publisher: its connections are reset, and as soon as it is back new ones are served, directly', async ({
    world,
  }) => {
    const service = await world.echoService();
    const { server, publisher, subscriber } = await goDirectOnServer(world, service.port);
    const open = await world.wire(subscriber.port);
    open.send('hello');
    expect(await open.read(5)).toBe('hello');

    const killed = performance.now();
    await publisher.stop('SIGKILL');
    const again = await publishDirect(world, server, service.port);
    await subscriber.program.event('ready', { role: 'subscriber' });
    expect(await echo(subscriber.port)).toBe('ping');
    const served = performance.now();
    await Promise.all([directPath(subscriber.program), directPath(again)]);
    expect(await echo(subscriber.port)).toBe('ping');
    expect(await open.closed).toBe('reset');
    const [back, reset] = [served - killed, performance.now() - killed].map(Math.round);
    process.stdout.write(`publisher killed: served again after ${back} ms, reset after ${reset} ms\n`);
    expect(reset).toBeLessThan(25_000);
  });

  test('a subscriber: the next one is served directly, and it is gone after the grace', async ({ world }) => {
    const service = await world.counterpart();
    const grace = ['--grace', '2'];
    const { server, publisher, subscriber } = await goDirectOnServer(world, service.port, grace);
    const open = await world.wire(subscriber.port);
    open.send('hello');
    const served = await service.accept();
    expect(await served.read(5)).toBe('hello');

    await subscriber.program.stop('SIGKILL');
    const again = await world.subscribe(server, { args: NO_ROUTER });
    await Promise.all([directPath(again.program), directPath(publisher)]);
    const next = await world.wire(again.port);
    next.end('and on');
    expect(await (await service.accept()).readAll()).toBe('and on');
    expect(await served.closed).toBe('reset');
    // Perhaps before the next one came.
    const hasLeft = () => publisher.events.some(({ action }) => action === 'left');
    await publisher.until(hasLeft, 'the end of the grace', 25_000);
  });
});

test('the server is killed and comes back: what is direct never notices', async ({ world }) => {
  let serverIsBack = false;
  const { service, run } = await transfer(world, (blocks) => serverIsBack && mebibytes(32)(blocks));
  const { server, publisher, subscriber } = await goDirectOnServer(world, service.port);
  const transferred = run(subscriber.port);
  // Its failure is told below.
  transferred.catch(() => undefined);

  await server.program.stop('SIGKILL');
  await Promise.all([
    publisher.event('error', { retry: true }),
    subscriber.program.event('error', { retry: true }),
  ]);
  // The service serves one connection at a time with what it was told; a second transfer is a new connection.
  serverIsBack = true;
  const { sent, received } = await transferred;
  expect(received).toEqual(sent);
  const during = await run(subscriber.port);
  expect(during.received).toEqual(during.sent);
  expect(pathsOf(subscriber.program).at(-1)).toBe('direct host');
});

test('when the server is back the link goes on: its connections, its path, and the relay behind it', async ({
  world,
}) => {
  const service = await world.echoService();
  const { server, publisher, subscriber } = await goDirectOnServer(world, service.port);
  const old = await world.wire(subscriber.port);
  old.send('before');
  expect(await old.read(6)).toBe('before');

  await server.program.stop('SIGKILL');
  await Promise.all([
    publisher.event('error', { retry: true }),
    subscriber.program.event('error', { retry: true }),
  ]);
  old.send('during');
  expect(await old.read(6)).toBe('during');
  expect(await echo(subscriber.port, 'a new one')).toBe('a new one');

  await world.server({ ...STUN, port: server.port });
  await Promise.all([
    publisher.event('ready', { role: 'publisher', name: NAME }),
    subscriber.program.event('ready', { role: 'subscriber', target: NAME }),
  ]);
  expect(await echo(subscriber.port, 'and on')).toBe('and on');
  old.end('after');
  expect(await old.readAll()).toBe('after');
  expect(await old.closed).toBe('ended');
  // The same link all along, and the same path.
  expect(publisher.events.filter(({ event }) => event === 'peer')).toHaveLength(1);
  expect(pathsOf(subscriber.program)).toEqual(['direct host']);
});

test('a connection survives the second server, too', async ({ world }) => {
  const service = await world.echoService();
  const { server, publisher, subscriber } = await goDirectOnServer(world, service.port, ['--mode', 'direct']);
  const old = await world.wire(subscriber.port);
  old.send('before');
  expect(await old.read(6)).toBe('before');
  let last = server;
  for (const round of ['first', 'second']) {
    await last.program.stop('SIGKILL');
    await Promise.all([
      publisher.event('error', { retry: true }),
      subscriber.program.event('error', { retry: true }),
    ]);
    expect(await echo(subscriber.port)).toBe('ping');
    last = await world.server({ ...STUN, port: server.port });
    await subscriber.program.event('ready', { role: 'subscriber' });
    old.send(round);
    expect(await old.read(round.length)).toBe(round);
    expect(await echo(subscriber.port)).toBe('ping');
  }
});
