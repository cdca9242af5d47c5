import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { echo, freePort, test } from '../support/e2e.ts';

/** The configuration that everybody begins with, for ports that are free here. */
function example(servicePort: number, localPort: number): string {
  return `tunnels:
  # Publisher
  gameserver:
    proto: p2p
    local_port: ${servicePort}
    p2p_name: my-game
    p2p_secret: shared-secret-123

  # Subscriber
  connect:
    proto: p2p
    local_port: ${localPort}
    p2p_target: my-game
    p2p_secret: shared-secret-123
`;
}

test('the example works as written, from the default file, with the server from the environment', async ({
  world,
}) => {
  const server = await world.server();
  const service = await world.echoService();
  const localPort = await freePort();
  mkdirSync(join(world.home('player'), '.underpass'));
  writeFileSync(join(world.home('player'), '.underpass', 'config.yml'), example(service.port, localPort));
  const start = world.run(['start', '--json'], 'player', { env: { UNDERPASS_SERVER: server.url } });
  await start.event('ready', { role: 'publisher', name: 'my-game', tunnel: 'gameserver' });
  await start.event('ready', { role: 'subscriber', listen: `127.0.0.1:${localPort}`, tunnel: 'connect' });
  expect(await echo(localPort)).toBe('ping');
  expect(await start.stop('SIGINT')).toBe(0);
  expect(
    start.events
      .filter(({ event }) => event === 'closed')
      .map(({ tunnel }) => tunnel)
      .sort(),
  ).toEqual(['connect', 'gameserver']);
});

test('every key beside it: server, auth_token, server_fingerprint, p2p_secret_file, mode', async ({
  world,
}) => {
  const server = await world.server({ scheme: 'wss', args: ['--token', 't1'] });
  const service = await world.echoService();
  const localPort = await freePort();
  world.file('game.secret', 'a-secret-from-a-file\n');
  const file = world.file(
    'tunnels.yml',
    `server: 127.0.0.1:${server.port}
auth_token: t1
server_fingerprint: ${server.fingerprint}
insecure: false
tunnels:
  game: { proto: p2p, local_port: ${service.port}, local_host: 127.0.0.1, p2p_name: g, p2p_secret_file: game.secret, mode: relay }
  friend: { proto: p2p, local_port: ${localPort}, listen: 127.0.0.1, p2p_target: g, p2p_secret_file: game.secret, mode: auto }
`,
  );
  const start = world.run(['start', '--json', '-c', file]);
  await start.event('ready', { role: 'subscriber', tunnel: 'friend' });
  expect(await echo(localPort)).toBe('ping');
});

test('many tunnels share a process, and one that fails for good leaves the others open', async ({
  world,
}) => {
  const server = await world.server();
  const [one, two] = [
    await world.service((socket) => socket.end('one')),
    await world.service((socket) => socket.end('two')),
  ];
  const ports = [await freePort(), await freePort()];
  const taken = await world.echoService();
  const file = world.file(
    'tunnels.yml',
    `server: ${server.url}
tunnels:
  a: { proto: p2p, local_port: ${one.port}, p2p_name: a, p2p_secret: shared-secret-123 }
  b: { proto: p2p, local_port: ${two.port}, p2p_name: b, p2p_secret: shared-secret-123 }
  to-a: { proto: p2p, local_port: ${ports[0]}, p2p_target: a, p2p_secret: shared-secret-123 }
  to-b: { proto: p2p, local_port: ${ports[1]}, p2p_target: b, p2p_secret: shared-secret-123 }
  broken: { proto: p2p, local_port: ${taken.port}, p2p_target: a, p2p_secret: shared-secret-123 }
`,
  );
  const start = world.run(['start', '--json', '-c', file]);
  const works = (tunnel: string) => () =>
    start.events.some((event) => event.event === 'ready' && event.tunnel === tunnel);
  for (const tunnel of ['to-a', 'to-b']) await start.until(works(tunnel), tunnel);
  await start.until(
    () => start.events.some(({ code, tunnel }) => code === 'port_in_use' && tunnel === 'broken'),
    'the tunnel that fails',
  );
  expect(await Promise.all(ports.map((port) => echo(port)))).toEqual(['one', 'two']);
});

const mistakes: [string, string, string][] = [
  [
    'an unknown key',
    'tunnels:\n  a:\n    proto: p2p\n    locl_port: 1',
    '4: tunnels.a.locl_port: there is no such key',
  ],
  [
    'a wrong type',
    'tunnels:\n  a:\n    proto: p2p\n    local_port: "1"',
    '4: tunnels.a.local_port: must be a number',
  ],
  ['a duplicate', 'server: a\nserver: b', '2: server: appears twice'],
  ['another protocol', 'tunnels:\n  a: { proto: http }', '2: tunnels.a.proto: must be p2p'],
  [
    'no secret',
    'tunnels:\n  a: { proto: p2p, local_port: 1, p2p_name: a }',
    '2: tunnels.a: needs p2p_secret or p2p_secret_file',
  ],
  ['no YAML', 'tunnels: [', '1: tunnels: is not valid YAML'],
  ['nothing', '', '1: tunnels: names no tunnel'],
];

test.for(mistakes)(
  'a mistake in the file, %s, is named by file, line and key',
  async ([, text, message], { world }) => {
    const file = world.file('tunnels.yml', text);
    const start = world.run(['start', '--json', '-c', file]);
    const error = await start.event('error', { code: 'config_invalid' });
    expect(error.message).toContain(`${file}:${message}`);
    expect(await start.exit()).toBe(2);
  },
);
