import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UnderpassError } from '../../../src/errors.ts';
import { FakeWorld } from '../../support/cli.ts';
import { temporaryFile, temporaryFolder } from '../../support/temporary.ts';

const SECRET = 'Zq8-vK2_x9LmP4tR';
const KEY = '3f2a-91bc-0d4e-77a1-c2f0';
const access = ['--server', 's:1', '--secret', SECRET];

test.each([
  [['80'], 'P2P mode requires --name or --target'],
  [['80', '--name', 'a', '--target', 'b'], '--name and --target cannot be used together'],
  [['80', '--name', 'My Game', ...access], "'My Game' is not a valid tunnel name"],
  [['0', '--name', 'a', ...access], "'0' is not a valid port"],
  [['65536', '--target', 'a', ...access], "'65536' is not a valid port"],
  [['8e1', '--name', 'a', ...access], "'8e1' is not a valid port"],
  [['80', '--name', 'a', '--server', 's'], 'a P2P tunnel needs a secret'],
  [['80', '--name', 'a', '--secret', ''], 'the secret is empty or too long'],
  [['80', '--name', 'a', '--secret', 's'.repeat(1025)], 'the secret is empty or too long'],
  [['80', '--name', 'a', '--secret', SECRET], 'no server is given'],
  [['80', '--name', 'a', '--listen', '::', ...access], '--listen goes with --target, not with --name'],
  [
    ['80', '--target', 'a', '--local-host', 'h', ...access],
    '--local-host goes with --name, not with --target',
  ],
  [
    ['80/sctp', '--name', 'a', ...access],
    "'80/sctp' cannot be understood: 'sctp' is not tcp, udp or tcp+udp",
  ],
  [['80,80-81', '--name', 'a', ...access], "'80,80-81' cannot be understood: 80/tcp is there twice"],
  [['same', '--name', 'a', ...access], "'same' is not a valid port"],
  [
    ['80,81', '--target', 'a', ...access],
    "'80,81' cannot be understood: to reach a tunnel takes one port, same, or 0",
  ],
  [
    ['80', '--target', 'a', '--proxy-protocol', 'v2', ...access],
    '--proxy-protocol goes with --name, not with --target',
  ],
  [['80', '--target', 'a', '--allow', KEY, ...access], '--allow goes with --name, not with --target'],
  [['80', '--target', 'a', '--deny', KEY, ...access], '--deny goes with --name, not with --target'],
  [
    ['80', '--name', 'a', '--allow', '192.0.2.7', ...access],
    "'192.0.2.7' is not the fingerprint of a key, such as 3f2a-91bc-0d4e-77a1-c2f0",
  ],
  [
    ['80', '--name', 'a', '--grace', '3601', ...access],
    '--grace takes a whole number of seconds from 0 to 3600',
  ],
  [
    ['80', '--name', 'a', '--grace', '-1', ...access],
    '--grace takes a whole number of seconds from 0 to 3600',
  ],
  [
    ['80', '--target', 'a', '--udp-idle', '0', ...access],
    '--udp-idle takes a whole number of seconds from 1 to 86400',
  ],
  [['80', '--target', 'a', '--listen', '127.0.0.1:5', ...access], "'127.0.0.1:5' is not a valid address"],
])('%j ends with exit code 2', async (argv, message) => {
  const people = new FakeWorld();
  expect(await people.run('p2p', ...argv)).toBe(2);
  expect(people.stderr).toContain(`Error: ${message}\n  `);
  expect(people.stdout).toBe('');

  const program = new FakeWorld();
  expect(await program.run('p2p', ...argv, '--json')).toBe(2);
  expect(program.json.at(-1)).toEqual({
    event: 'error',
    code: expect.any(String),
    message: expect.stringContaining(message),
    hint: expect.any(String),
    time: '1970-01-01T00:00:00.000Z',
  });
  expect(program.stderr).toBe('');
  expect([program.clients, people.clients]).toEqual([[], []]);
});

test('flags become options of the client and the tunnel', async () => {
  const world = new FakeWorld();
  const flags = [
    '--token',
    't',
    '--insecure',
    '--server-fingerprint',
    'ab',
    '--no-reconnect',
    '--local-host',
    '::1',
  ];
  const code = world.run('p2p', '80', '--name', 'a', ...access, ...flags, '--mode', 'relay');
  expect(world.clients).toMatchObject([
    { server: 's:1', token: 't', insecure: true, serverFingerprint: 'ab', reconnect: false },
  ]);
  expect(world.tunnels[0]?.options).toEqual({
    name: 'a',
    secret: SECRET,
    localHost: '::1',
    ports: '80',
    mode: 'relay',
  });
  world.stop('SIGINT');
  expect(await code).toBe(0);
  expect(world.calls).toEqual(['client closed']);
});

test('ports, keys and times become options of the tunnel', () => {
  const world = new FakeWorld();
  const keys = ['--allow', KEY, '--allow', KEY, '--deny', KEY, '--proxy-protocol', 'v2'];
  const times = ['--grace', '0', '--udp-idle', '300'];
  const bundle = '25565,24454/udp,27015-27020/tcp+udp';
  void world.run('p2p', bundle, '--name', 'a', ...access, ...keys, ...times);
  void world.run('p2p', 'same/udp', '--target', 'a', ...access, ...times);
  void world.run('p2p', '0', '--target', 'a', ...access);
  expect(world.tunnels.map(({ options }) => options)).toEqual([
    {
      ...{ name: 'a', secret: SECRET, ports: bundle, proxyProtocol: 'v2' },
      ...{ allow: [KEY, KEY], deny: [KEY], grace: 0, udpIdle: 300 },
    },
    { target: 'a', secret: SECRET, ports: 'same/udp', grace: 0, udpIdle: 300 },
    { target: 'a', secret: SECRET, ports: '0' },
  ]);
  world.tunnels[0]?.emit({ event: 'ready', role: 'publisher', name: 'a' });
  expect(world.stdout).toContain('Published: localhost:25565, 24454/udp, 27015-27020/tcp+udp is now');
});

test('how the client looks at its network: flags first, then the file, where it names the server', async () => {
  const world = new FakeWorld();
  world.homeDirectory = temporaryFolder();
  mkdirSync(join(world.homeDirectory, '.underpass'));
  const path = join(world.homeDirectory, '.underpass', 'config.yml');
  const say = (lines: string) => writeFileSync(path, `server: f:1\n${lines}`);
  const subscribe = (...flags: string[]) =>
    void world.run('p2p', '0', '--target', 'a', '--secret', SECRET, ...flags);

  say('stun: [file.example]\nport_mapping: false\nlan_addresses: false\n');
  subscribe();
  subscribe('--stun', 'a:1', '--stun', 'b:2');
  subscribe('--server', 's:1');
  say('port_mapping: true\n');
  subscribe();
  subscribe('--no-port-mapping', '--no-lan-addresses');
  expect(world.clients).toMatchObject([
    { stun: ['file.example'], portMapping: false, lanAddresses: false },
    { stun: ['a:1', 'b:2'], portMapping: false, lanAddresses: false },
    { stun: undefined, portMapping: undefined, lanAddresses: undefined },
    { stun: undefined, portMapping: true, lanAddresses: undefined },
    { stun: undefined, portMapping: false, lanAddresses: false },
  ]);
});

test('the environment counts where no flag is given', async () => {
  const world = new FakeWorld();
  Object.assign(world.environment, {
    UNDERPASS_SERVER: 'e:1',
    UNDERPASS_TOKEN: 'et',
    UNDERPASS_SECRET: `${SECRET}e`,
  });
  void world.run('p2p', '0', '--target', 'a');
  void world.run('p2p', '0', '--target', 'a', '--token', 'ft', ...access);
  expect(world.clients).toMatchObject([
    { server: 'e:1', token: 'et' },
    { server: 's:1', token: 'ft' },
  ]);
  expect(world.tunnels.map(({ options }) => options.secret)).toEqual([`${SECRET}e`, SECRET]);
});

test('the configuration file counts last, and its token goes to no other server', async () => {
  const world = new FakeWorld();
  world.homeDirectory = temporaryFolder();
  mkdirSync(join(world.homeDirectory, '.underpass'));
  const yaml = `server: f:1\nauth_token: ft\nserver_fingerprint: ${'ab'.repeat(32)}\n`;
  writeFileSync(join(world.homeDirectory, '.underpass', 'config.yml'), yaml);

  void world.run('p2p', '0', '--target', 'a', '--secret', SECRET);
  void world.run('p2p', '0', '--target', 'a', ...access);
  expect(world.clients).toMatchObject([
    { server: 'f:1', token: 'ft', serverFingerprint: 'ab'.repeat(32) },
    { server: 's:1', token: undefined, serverFingerprint: undefined },
  ]);
});

test('a secret from a file', async () => {
  const world = new FakeWorld();
  const file = temporaryFile('secret', `${SECRET}\n`, 0o644);
  void world.run('p2p', '0', '--target', 'a', '--server', 's', '--secret-file', file);
  expect(world.tunnels[0]?.options.secret).toBe(SECRET);
  expect(world.stderr).toBe(
    `Warning: other users of this machine can read ${file}; run: chmod 600 ${file}\n`,
  );
  expect(await world.run('p2p', '0', '--target', 'a', '--secret-file', '/no/such')).toBe(2);
  expect(world.stderr).toContain('cannot read /no/such: it does not exist');
});

test('a weak secret works and earns a warning; no secret is ever printed', async () => {
  const world = new FakeWorld();
  void world.run('p2p', '80', '--name', 'a', '--server', 's', '--secret', 'hunter2');
  world.tunnels[0]?.emit({ event: 'ready', role: 'publisher', name: 'a' });
  expect(world.stderr).toContain("Warning: the secret of 'a' is easy to guess");
  expect(world.stdout + world.stderr).not.toContain('hunter2');
});

test.each([
  ['auth_failed', 3],
  ['server_unreachable', 4],
  ['name_in_use', 5],
  ['port_in_use', 2],
] as const)('a tunnel that ends with %s gives exit code %i', async (code, exitCode) => {
  const world = new FakeWorld();
  const ended = world.run('p2p', '80', '--name', 'a', ...access);
  world.tunnels[0]?.end(new UnderpassError(code));
  expect(await ended).toBe(exitCode);
  expect(world.calls).toEqual(['client closed']);
});
