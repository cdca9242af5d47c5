import { expect } from 'vitest';
import { echo, NAME, test } from '../support/e2e.ts';

interface Open {
  readonly port: number;
  readonly protocol: string;
  readonly listen: string;
}

/** The local port for an offered one. */
function localPort(ports: unknown, offered: number): number {
  const found = (ports as readonly Open[]).find(({ port }) => port === offered);
  return Number(found?.listen.split(':').pop());
}

test('several ports under one name, and nothing that is not offered', async ({ world }) => {
  const server = await world.server();
  const services = [await world.echoService(), await world.service((socket) => socket.end('second'))];
  const [first = 0, second = 0] = services.map(({ port }) => port);
  await world.publish(server, `${first},${second}`);
  const subscriber = world.subscriber(server);
  const { ports, listen } = await subscriber.event('ready', { role: 'subscriber' });
  expect(ports).toHaveLength(2);
  expect(listen).toBe(`127.0.0.1:${localPort(ports, first)}`);
  expect(await echo(localPort(ports, first))).toBe('ping');
  const wire = await world.wire(localPort(ports, second));
  wire.socket.end();
  expect(await wire.closed).toBe('ended');

  // What comes to somewhere that is no port ends at once, with what to do about it.
  const shifted = world.subscriber(server, {}, first < second ? 65535 : 1);
  const told = await shifted.event('error', { retry: false });
  expect(['ports_mismatch', 'listen_failed']).toContain(told.code);
  expect(await shifted.exit()).toBe(2);
  const udp = world.subscriber(server, {}, '0/udp');
  await udp.event('error', { code: 'ports_mismatch', retry: false });
});

test('the service learns who connects, and a program asks who is there and closes one', async ({ world }) => {
  const server = await world.server();
  const heard: Buffer[] = [];
  const service = await world.service((socket) => {
    socket.on('data', (chunk: Buffer) => {
      heard.push(chunk);
      socket.end('welcome');
    });
  });
  const args = ['--proxy-protocol', 'v2', '--mode', 'relay'];
  const publisher = await world.publish(server, service.port, { args, typing: true });
  const subscriber = await world.subscribe(server);
  const joined = await publisher.event('peer', { action: 'joined', address_claimed: true });
  const wire = await world.wire(subscriber.port);
  wire.socket.end('hello');
  expect(await wire.closed).toBe('ended');
  const header = Buffer.concat(heard);
  expect(header.toString('hex', 0, 16)).toBe('0d0a0d0a000d0a515549540a2111002b');
  expect(header.toString('latin1', 28)).toBe(
    `\u00e0\u0000\u0018${joined.identity}\u00e1\u0000\u0001\u0001hello`,
  );

  publisher.type('peers');
  const { peers } = await publisher.event('peers', { name: NAME });
  expect(peers).toMatchObject([
    { peer: joined.peer, identity: joined.identity, kind: 'relayed', bytes_in: 5, bytes_out: 7, flows: 0 },
  ]);
  publisher.type(`close ${joined.peer}`);
  await publisher.event('peer', { action: 'left', peer: joined.peer, bytes_in: 5, bytes_out: 7 });
  // It comes back: nothing keeps its key away.
  await publisher.event('peer', { action: 'joined', identity: joined.identity });

  const refusing = await world.publish(server, service.port, {
    name: 'guarded',
    user: 'guard',
    args: ['--deny', String(joined.identity)],
  });
  const denied = world.subscriber(server, { name: 'guarded' });
  await refusing.event('peer', { action: 'refused', identity: joined.identity });
  await denied.event('error', { code: 'peer_refused', retry: true });
});
