import { expect } from 'vitest';
import { echo, NAME, type World } from '../support/e2e.ts';
import { counter, goDirect, pathsOf, STUN, test } from '../support/e2e-direct.ts';
import { mebibytes, transfer } from '../support/e2e-transfer.ts';

async function through(world: World, service: number, args?: readonly string[]) {
  const server = await world.server(STUN);
  return { server, ...(await goDirect(world, { publisher: server, subscriber: server }, service, args)) };
}

test('both sides say how they go, and where', async ({ world }) => {
  const { port } = await world.echoService();
  const { publisher, subscriber, published, subscribed } = await through(world, port);
  const told = {
    kind: 'direct',
    strategy: 'host',
    remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    rtt_ms: expect.any(Number),
    elapsed_ms: expect.any(Number),
    reason: null,
    time: expect.any(String),
  };
  expect(subscribed).toEqual({ event: 'path', target: NAME, ...told });
  expect(published).toEqual({ event: 'path', peer: expect.any(String), ...told });
  const joined = publisher.events.find(({ event }) => event === 'peer');
  expect(published.peer).toBe(joined?.peer);
  // A direct path may be there before the relay is; what was told before it is that it is being looked for.
  for (const program of [publisher, subscriber.program]) {
    expect(['relayed searching', undefined]).toContain(pathsOf(program).at(-2));
    expect(pathsOf(program).at(-1)).toBe('direct host');
  }
  expect(await echo(subscriber.port)).toBe('ping');
});

test('64 MiB in both directions, byte for byte, of which the server relays nothing', async ({ world }) => {
  const { service, run } = await transfer(world, mebibytes(64));
  const { server, subscriber } = await through(world, service.port);
  const { sent, received } = await run(subscriber.port);
  expect(received).toEqual(sent);
  expect(sent.map(({ bytes }) => bytes)).toEqual([64 * 2 ** 20, 64 * 2 ** 20]);
  // Two TLS handshakes' worth.
  expect(await counter(server, 'relayed_bytes_total')).toBeLessThan(8192);
});

test('half-closed streams, both ways', async ({ world }) => {
  const service = await world.counterpart();
  const { subscriber } = await through(world, service.port);

  const first = await world.wire(subscriber.port);
  first.end('question');
  const answering = await service.accept();
  expect(await answering.readAll()).toBe('question');
  answering.send('an answer, ');
  expect(await first.read(11)).toBe('an answer, ');
  answering.end('and more');
  expect(await first.readAll()).toBe('and more');
  expect([await first.closed, await answering.closed]).toEqual(['ended', 'ended']);

  const second = await world.wire(subscriber.port);
  second.send('hello');
  const greeting = await service.accept();
  expect(await greeting.read(5)).toBe('hello');
  greeting.end('that is all');
  expect(await second.readAll()).toBe('that is all');
  second.end('I go on');
  expect(await greeting.readAll()).toBe('I go on');
  expect([await second.closed, await greeting.closed]).toEqual(['ended', 'ended']);
});

test('a connection that is reset is reset at the other end', async ({ world }) => {
  const service = await world.counterpart();
  const { subscriber } = await through(world, service.port);
  const near = await world.wire(subscriber.port);
  near.send('hello');
  const far = await service.accept();
  expect(await far.read(5)).toBe('hello');
  far.socket.resetAndDestroy();
  expect(await near.closed).toBe('reset');
});

test('200 connections at once', async ({ world }) => {
  let open = 0;
  let everybody = () => {};
  const allHere = new Promise<void>((resolve) => {
    everybody = resolve;
  });
  // Nobody is answered before everybody is there.
  const service = await world.service((socket) => {
    if (++open === 200) everybody();
    void allHere.then(() => socket.pipe(socket));
  });
  const { subscriber } = await through(world, service.port);
  const texts = Array.from({ length: 200 }, (_, index) => `connection ${index}`);
  expect(await Promise.all(texts.map((text) => echo(subscriber.port, text)))).toEqual(texts);
});
