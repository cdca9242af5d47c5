import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UnderpassError } from '../../../src/errors.ts';
import { FakeWorld } from '../../support/cli.ts';
import { temporaryFile, temporaryFolder } from '../../support/temporary.ts';

const tunnel = (key: string, port: number, name: string) =>
  `  ${key}:\n    proto: p2p\n    local_port: ${port}\n    p2p_${name}: my-game\n    p2p_secret: Zq8-vK2_x9LmP4tR\n`;
const both = `tunnels:\n${tunnel('gameserver', 27015, 'name')}${tunnel('connect', 8000, 'target')}`;
const file = () => temporaryFile('tunnels.yml', `server: s:1\nauth_token: t\n${both}`);

test('opens every tunnel over one client', async () => {
  const world = new FakeWorld();
  const code = world.run('start', '-c', file(), '--json');
  expect(world.clients).toMatchObject([{ server: 's:1', token: 't', reconnect: true }]);
  expect(world.tunnels.map(({ options }) => options)).toMatchObject([
    { name: 'my-game', localPort: 27015 },
    { target: 'my-game', localPort: 8000 },
  ]);
  world.tunnels[1]?.emit({ event: 'waiting', target: 'my-game' });
  expect(world.json).toEqual([
    { event: 'waiting', target: 'my-game', tunnel: 'connect', time: '1970-01-01T00:00:00.000Z' },
  ]);
  world.stop('SIGTERM');
  expect(await code).toBe(0);
});

test('how the client looks at its network comes from the file', async () => {
  const world = new FakeWorld();
  const network = 'stun: ["stun.example:3479"]\nport_mapping: false\nlan_addresses: false\n';
  void world.run('start', '-c', temporaryFile('tunnels.yml', `server: s:1\n${network}${both}`));
  void world.run('start', '-c', file());
  expect(world.clients).toMatchObject([
    { stun: ['stun.example:3479'], portMapping: false, lanAddresses: false },
    { stun: undefined, portMapping: undefined, lanAddresses: undefined },
  ]);
});

test('one tunnel that fails leaves the others open, and decides the exit code', async () => {
  const world = new FakeWorld();
  const code = world.run('start', '-c', file());
  world.tunnels[0]?.end(new UnderpassError('name_in_use', { name: 'my-game' }));
  await new Promise(setImmediate);
  expect(world.calls).toEqual([]);
  world.tunnels[1]?.end();
  expect(await code).toBe(5);
});

test('with --no-reconnect the first to fail ends the program', async () => {
  const world = new FakeWorld();
  const code = world.run('start', '-c', file(), '--no-reconnect');
  world.tunnels[1]?.end(new UnderpassError('tunnel_not_found', { name: 'my-game' }));
  expect(await code).toBe(4);
});

test('the environment wins over the file', async () => {
  const world = new FakeWorld();
  Object.assign(world.environment, { UNDERPASS_SERVER: 'e:1', UNDERPASS_SECRET: 'environment-secret-1' });
  void world.run('start', '-c', file());
  expect(world.clients).toMatchObject([{ server: 'e:1', token: 't' }]);
  expect(world.tunnels.map(({ options }) => options.secret)).toEqual(Array(2).fill('environment-secret-1'));
});

test('the default file is where XDG says, else in ~/.underpass', async () => {
  const world = new FakeWorld();
  world.homeDirectory = temporaryFolder();
  expect(await world.run('start')).toBe(2);
  expect(world.stderr).toContain(
    `cannot read ${world.homeDirectory}/.underpass/config.yml: it does not exist`,
  );

  mkdirSync(join(world.homeDirectory, '.underpass'));
  writeFileSync(join(world.homeDirectory, '.underpass/config.yml'), `server: home:1\n${both}`);
  world.environment.XDG_CONFIG_HOME = join(world.homeDirectory, 'xdg');
  void world.run('start');
  mkdirSync(join(world.homeDirectory, 'xdg/underpass'), { recursive: true });
  writeFileSync(join(world.homeDirectory, 'xdg/underpass/config.yml'), `server: xdg:1\n${both}`);
  void world.run('start');
  expect(world.clients).toMatchObject([{ server: 'home:1' }, { server: 'xdg:1' }]);
});

test('a file without tunnels or with a mistake is named', async () => {
  const world = new FakeWorld();
  const empty = temporaryFile('empty.yml', 'server: s\n');
  expect(await world.run('start', '-c', empty)).toBe(2);
  expect(world.stderr).toContain(`${empty}:1: tunnels: names no tunnel`);
  const wrong = temporaryFile('wrong.yml', 'server: s\ntunels: {}\n');
  expect(await world.run('start', '-c', wrong)).toBe(2);
  expect(world.stderr).toContain(`${wrong}:2: tunels: there is no such key`);
});
