import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UnderpassError } from '../../../src/errors.ts';
import { FakeWorld } from '../../support/cli.ts';
import { natReport } from '../../support/nat-report.ts';
import { temporaryFolder } from '../../support/temporary.ts';

/** A world with a tunnels file where it is looked for by default. */
function worldWithFile(yaml: string): FakeWorld {
  const world = new FakeWorld();
  world.homeDirectory = temporaryFolder();
  mkdirSync(join(world.homeDirectory, '.underpass'));
  writeFileSync(join(world.homeDirectory, '.underpass', 'config.yml'), yaml);
  return world;
}

test('for a person: a report; the exit code is 0 even when it is a sad one', async () => {
  const world = new FakeWorld();
  expect(await world.run('nat', '--server', 'u.example')).toBe(0);
  expect(world.stdout).toContain('(port-restricted cone)');
  world.measured = async () =>
    natReport({
      mapping: 'unknown',
      type: 'unknown',
      udp_blocked: true,
      servers: [{ server: 'u.example:3478', status: 'silent', rtt_ms: null }],
    });
  expect(await world.run('nat', '--server', 'u.example')).toBe(0);
  expect(world.stdout).toContain('UDP is blocked here, or');
  expect(world.stderr).toBe('');
});

test('for a program: the report itself, on one line', async () => {
  const world = new FakeWorld();
  expect(await world.run('nat', '--server', 'u.example', '--json')).toBe(0);
  expect(world.json).toEqual([natReport()]);
  const documentation = join(import.meta.dirname, '../../../docs/configuration.md');
  const [, fields = ''] = readFileSync(documentation, 'utf8').split('\n## The NAT report\n');
  for (const field of Object.keys(world.json[0] ?? {})) expect(fields).toContain(`\n| \`${field}\` |`);
  expect(world.json[0]?.allocation).toEqual({ pattern: 'preserving', step: null, range: null });
});

test('flags become what is measured with', async () => {
  const world = new FakeWorld();
  world.measured = async () => natReport({ port_mapping_asked: false });
  const trust = ['--insecure', '--server-fingerprint', 'ab'];
  await world.run('nat', '--server', 's:1', '--stun', 'a:1', '--stun', 'b:2', '--no-port-mapping', ...trust);
  expect(world.measurements).toMatchObject([
    { server: 's:1', stun: ['a:1', 'b:2'], portMapping: false, insecure: true, serverFingerprint: 'ab' },
  ]);
  expect(world.loggers).toEqual(['warn pretty']);
  expect(world.stdout).toContain('not asked for (--no-port-mapping)');
});

test('the environment names a server; a token is shown to nobody', async () => {
  const world = new FakeWorld();
  Object.assign(world.environment, { UNDERPASS_SERVER: 'e:1', UNDERPASS_TOKEN: 'et' });
  await world.run('nat');
  await world.run('nat', '--server', 's:1');
  await world.run('nat', '--stun', 'a:1');
  expect(world.measurements).toMatchObject([
    { server: 'e:1', portMapping: true },
    { server: 's:1' },
    { server: 'e:1', stun: ['a:1'] },
  ]);
  expect(JSON.stringify(world.measurements)).not.toContain('et');
});

test('the default file counts where nothing else names a server, and no secret file is read', async () => {
  const tunnel = '{ proto: p2p, local_port: 0, p2p_target: a, p2p_secret_file: not-there }';
  const fingerprint = 'ab'.repeat(32);
  const world = worldWithFile(
    `server: f:1\nserver_fingerprint: ${fingerprint}\nport_mapping: false\nstun: ['g:2']\ntunnels:\n  a: ${tunnel}\n`,
  );
  await world.run('nat');
  await world.run('nat', '--stun', 'a:1');
  await world.run('nat', '--server', 's:1');
  const [fromFile, stunOnly, otherServer] = world.measurements;
  expect(fromFile).toMatchObject({
    server: 'f:1',
    serverFingerprint: fingerprint,
    stun: ['g:2'],
    portMapping: false,
  });
  expect(stunOnly).toMatchObject({ stun: ['a:1'], portMapping: true });
  expect(stunOnly?.server).toBeUndefined();
  expect(otherServer).toMatchObject({ server: 's:1', serverFingerprint: undefined, stun: undefined });
});

test('a file with nothing but STUN servers is enough', async () => {
  const world = worldWithFile("stun: ['g:2']\n");
  expect(await world.run('nat')).toBe(0);
  expect(world.measurements).toMatchObject([{ stun: ['g:2'] }]);
});

test('without any server it is a usage error', async () => {
  const world = new FakeWorld();
  expect(await world.run('nat')).toBe(2);
  expect(world.stderr).toContain('Error: no server is given\n');
  expect([world.measurements, world.stdout]).toEqual([[], '']);
});

test.each([
  [
    new UnderpassError('stun_missing', { host: 'u\u001b[2J.example' }),
    4,
    'the server u?[2J.example does not answer STUN',
  ],
  [
    new UnderpassError('server_unreachable', { host: 'u', problem: 'refused' }),
    4,
    'cannot reach the server u: refused',
  ],
  [new UnderpassError('address_invalid', { address: 'x y' }), 2, "'x y' is not a valid address"],
  [new Error('bug'), 1, 'something went wrong inside underpass: bug'],
])('%s ends with exit code %i', async (error, exitCode, message) => {
  for (const json of [[], ['--json']]) {
    const world = new FakeWorld();
    world.measured = () => Promise.reject(error);
    expect(await world.run('nat', '--stun', 'a:1', ...json)).toBe(exitCode);
    if (json.length === 0) {
      expect(world.stderr).toContain(`Error: ${message}\n`);
      expect(world.stdout).toBe('');
    } else {
      expect(world.json).toMatchObject([{ event: 'error', message, hint: expect.stringMatching(/\w/) }]);
      expect(world.stderr).toBe('');
    }
  }
});

test('Ctrl-C stops the measurement, and waits until it has cleared up', async () => {
  const world = new FakeWorld();
  let cleared: () => void = () => {};
  world.measured = () =>
    new Promise((_, reject) => {
      cleared = () => reject(new Error('aborted'));
    });
  let code: number | undefined;
  const ended = world.run('nat', '--stun', 'a:1').then((result) => {
    code = result;
  });
  world.stop('SIGINT');
  await new Promise(setImmediate);
  expect(world.measurements[0]?.signal?.aborted).toBe(true);
  expect(code).toBeUndefined();
  cleared();
  await ended;
  expect([code, world.stdout, world.stderr]).toEqual([0, '', '']);
});
