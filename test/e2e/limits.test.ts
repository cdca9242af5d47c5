import { expect, vi } from 'vitest';
import { echo, SECRET, test } from '../support/e2e.ts';

const impatient = ['--no-reconnect'];

test('links_per_publisher and streams_per_link', async ({ world }) => {
  const server = await world.server({ config: 'limits: { links_per_publisher: 1, streams_per_link: 4 }' });
  await world.publish(server, (await world.echoService()).port);
  const { program, port } = await world.subscribe(server);
  const wires = [];
  for (let index = 0; index < 4; index++) {
    const wire = await world.wire(port);
    wire.send('hello');
    expect(await wire.read(5)).toBe('hello');
    wires.push(wire);
  }
  const surplus = await world.wire(port);
  expect(await surplus.closed).toBe('reset');
  await program.event('error', { code: 'too_many_channels', retry: true });
  wires[0]?.end();
  expect(await wires[0]?.closed).toBe('ended');
  for (const wire of wires.slice(1)) {
    wire.send('again');
    expect(await wire.read(5)).toBe('again');
  }
  // The place is free when both ends have said goodbye.
  await vi.waitFor(async () => expect(await echo(port)).toBe('ping'));

  const second = world.subscriber(server, { user: 'second', args: impatient });
  await second.event('error', { code: 'too_many_links', retry: false });
  expect(await second.exit()).toBe(4);
});

test('tunnels_per_session, sessions and connections_per_ip_per_minute', async ({ world }) => {
  const config = 'limits: { tunnels_per_session: 2, sessions: 2, connections_per_ip_per_minute: 4 }';
  const server = await world.server({ config });
  const tunnel = (name: string) =>
    `  ${name}: { proto: p2p, local_port: 9, p2p_name: ${name}, p2p_secret: ${SECRET} }\n`;
  const file = world.file(
    'three.yml',
    `server: ${server.url}\ntunnels:\n${['a', 'b', 'c'].map(tunnel).join('')}`,
  );
  const three = world.run(['start', '--json', '-c', file]);
  await three.event('ready', { role: 'publisher' });
  await three.until(() => three.events.length === 3, 'all three');
  expect(three.events.map(({ event, code }) => code ?? event).sort()).toEqual([
    'ready',
    'ready',
    'too_many_tunnels',
  ]);

  const waiting = world.subscriber(server);
  await waiting.event('waiting');
  for (const [user, code] of [
    ['third', 'server_full'],
    ['fourth', 'server_full'],
    ['fifth', 'rate_limited'],
  ] as const) {
    const refused = world.subscriber(server, { user, args: impatient });
    await refused.event('error', { code, retry: false });
    expect(await refused.exit()).toBe(4);
  }
});

test('bytes_per_second_per_tunnel, roughly', async ({ world }) => {
  const rate = 1_000_000;
  const server = await world.server({ config: `limits: { bytes_per_second_per_tunnel: ${rate} }` });
  const body = Buffer.alloc(4 * rate, 'x');
  const service = await world.service((socket) => socket.end(body));
  await world.publish(server, service.port);
  const { port } = await world.subscribe(server);
  const from = performance.now();
  const wire = await world.wire(port);
  wire.end();
  expect((await wire.readAll()).length).toBe(body.length);
  const seconds = (performance.now() - from) / 1000;
  // One second's worth is a burst, and windows let some more be under way.
  expect(seconds).toBeGreaterThan(2);
  expect(seconds).toBeLessThan(6);
});
