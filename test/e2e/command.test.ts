import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { echo, listenPort, MAIN, NAME, type Program, SECRET, test, type World } from '../support/e2e.ts';

const SERVER = ['--server', 'ws://127.0.0.1:9'];

/** What a command that cannot work is told, and its exit code. */
async function failure(program: Program): Promise<{ code: unknown; message: unknown; exit: unknown }> {
  const { code, message, hint } = await program.event('error');
  expect(hint, String(code)).toMatch(/\w/);
  return { code, message, exit: await program.exit() };
}

const mistakes: [string, string[], string, string | RegExp][] = [
  ['neither --name nor --target', ['27015'], 'mode_required', 'P2P mode requires --name or --target'],
  ['both', ['27015', '--name', 'a', '--target', 'b'], 'mode_conflict', /cannot be used together/],
  ['a bad name', ['27015', '--name', 'My Game', '--secret', SECRET], 'name_invalid', /'My Game'/],
  ['a name that is too long', ['1', '--name', 'a'.repeat(65), '--secret', SECRET], 'name_invalid', /a{65}/],
  ['a bad port', ['http', '--name', NAME, '--secret', SECRET], 'port_invalid', /'http'/],
  ['a port out of range', ['65536', '--target', NAME, '--secret', SECRET], 'port_invalid', /65536/],
  ['port 0 for a service', ['0', '--name', NAME, '--secret', SECRET], 'port_invalid', /'0'/],
  ['no secret', ['27015', '--name', NAME, ...SERVER], 'secret_missing', /secret/],
  ['an empty secret', ['27015', '--name', NAME, '--secret', '', ...SERVER], 'secret_invalid', /empty/],
  ['no server', ['27015', '--name', NAME, '--secret', SECRET], 'server_missing', /server/],
  [
    'a bad server',
    ['1', '--name', NAME, '--secret', SECRET, '--server', 'ftp://x'],
    'address_invalid',
    /ftp/,
  ],
  [
    'a bad fingerprint',
    ['1', '--name', NAME, '--secret', SECRET, ...SERVER, '--server-fingerprint', 'ab'],
    'argument_invalid',
    /fingerprint/,
  ],
  ['an unknown flag', ['27015', '--nmae', 'x'], 'argument_invalid', /--nmae/],
  [
    'a secret file that is not there',
    ['1', '--name', NAME, '--secret-file', '/no/such/file', ...SERVER],
    'file_unreadable',
    /no\/such\/file/,
  ],
  [
    'ws:// to another machine',
    ['1', '--name', NAME, '--secret', SECRET, '--server', 'ws://192.0.2.1:4040'],
    'plain_refused',
    /192\.0\.2\.1/,
  ],
];

test.for(mistakes)('usage: %s', async ([, args, code, message], { world }) => {
  expect(await failure(world.run(['p2p', ...args, '--json']))).toEqual({
    code,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
    exit: 2,
  });
});

test('without --json an error is for people, on standard error, with its hint', async ({ world }) => {
  const program = world.run(['p2p', '27015']);
  expect(await program.exit()).toBe(2);
  expect(program.stdout).toBe('');
  expect(program.stderr).toContain('P2P mode requires --name or --target');
  expect(program.stderr).toContain('Add --name NAME');
});

test('a port that is in use, for a subscriber and for a server', async ({ world }) => {
  const taken = await world.echoService();
  const server = await world.server();
  const subscriber = world.subscriber(server, {}, taken.port);
  const inUse = { code: 'port_in_use', message: `port ${taken.port} on 127.0.0.1 is already in use` };
  expect(await failure(subscriber)).toEqual({ ...inUse, exit: 2 });
  const second = world.run(['server', '--json', '--listen', `ws://127.0.0.1:${taken.port}`]);
  expect(await failure(second)).toEqual({ ...inUse, exit: 2 });
});

test('a wrong token and a missing one are refused for good, the right one works', async ({ world }) => {
  const server = await world.server({
    scheme: 'wss',
    args: ['--token', 'one-token', '--token', 'two-token'],
  });
  const service = await world.echoService();
  for (const token of [[], ['--token', 'three-token']]) {
    expect(await failure(world.publisher(server, service.port, { args: token }))).toEqual({
      code: 'auth_failed',
      message: 'the server did not accept the token',
      exit: 3,
    });
  }
  await world.publish(server, service.port, { args: ['--token', 'two-token'] });
  const { port } = await world.subscribe(server, { args: ['--token', 'one-token'] });
  expect(await echo(port)).toBe('ping');
});

test('a server that is not there: retried, or the end with --no-reconnect', async ({ world }) => {
  const server = await world.server();
  await server.program.stop();
  const service = await world.echoService();
  const impatient = world.publisher(server, service.port, { args: ['--no-reconnect'] });
  expect(await failure(impatient)).toMatchObject({ code: 'server_unreachable', exit: 4 });
  const patient = world.publisher(server, service.port, { user: 'patient' });
  await patient.event('error', { code: 'server_unreachable', retry: true });
  await world.server({ port: server.port });
  await patient.event('ready', { role: 'publisher', name: NAME });
});

test('server, token and secret come from the environment, the secret also from a file', async ({ world }) => {
  const server = await world.server({ args: ['--token', 'the-token'] });
  const service = await world.echoService();
  const env = { UNDERPASS_SERVER: server.url, UNDERPASS_TOKEN: 'the-token', UNDERPASS_SECRET: SECRET };
  const publisher = world.run(['p2p', String(service.port), '--name', NAME, '--json'], 'publisher', { env });
  await publisher.event('ready', { role: 'publisher', name: NAME });

  const secretFile = world.file('secret', `${SECRET}\n`);
  const args = ['p2p', '0', '--target', NAME, '--json', '--secret-file', secretFile];
  const subscriber = world.run(args, 'subscriber', {
    env: { ...env, UNDERPASS_SECRET: 'another-secret-here' },
  });
  expect(await echo(await listenPort(subscriber))).toBe('ping');
});

test('--local-host and --listen choose other addresses', async ({ world }) => {
  const server = await world.server();
  const service = await world.echoService();
  await world.publish(server, service.port, { args: ['--local-host', '127.0.0.1'] });
  const subscriber = world.subscriber(server, { args: ['--listen', '127.0.0.2'] });
  const { listen } = await subscriber.event('ready', { role: 'subscriber' });
  expect(listen).toMatch(/^127\.0\.0\.2:\d+$/);
});

const TOKEN = 'a-token-that-nobody-may-see';

/** A tunnel that has carried something, everybody logging all there is. */
async function talkative(world: World): Promise<Program[]> {
  const log = ['--log-level', 'debug', '--log-format', 'json'];
  const server = await world.server({ args: ['--token', TOKEN, ...log] });
  const args = ['--token', TOKEN, ...log];
  const publisher = await world.publish(server, (await world.echoService()).port, { args });
  const { program, port } = await world.subscribe(server, { args });
  expect(await echo(port)).toBe('ping');
  const wrong = world.subscriber(server, { secret: 'a-wrong-secret-of-the-tests', user: 'wrong', args });
  expect(await wrong.exit()).toBe(3);
  const stranger = world.subscriber(server, { user: 'token', args: ['--token', 'a-wrong-token', ...log] });
  expect(await stranger.exit()).toBe(3);
  return [server.program, publisher, program];
}

test.skipIf(process.platform !== 'linux')('the process list does not show the secret', async ({ world }) => {
  for (const { pid } of await talkative(world)) {
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()).toBe('underpass');
  }
});

test('events have the documented fields, and no output at any level has a secret', async ({ world }) => {
  const [server, publisher, subscriber] = await talkative(world);
  for (const program of [subscriber, publisher]) {
    program?.kill('SIGTERM');
    expect(await program?.exit()).toBe(0);
  }
  server?.kill('SIGTERM');
  expect(await server?.exit()).toBe(0);

  const fieldsOf = (program: Program | undefined) =>
    program?.events.map((event) => Object.keys(event).sort().join(' '));
  expect(fieldsOf(server)).toEqual([
    'event fingerprint listen role stun time',
    'event seconds time',
    'event role time',
  ]);
  expect(fieldsOf(subscriber)).toEqual([
    'event listen role target time',
    'elapsed_ms event kind reason remote rtt_ms strategy target time',
    'event target time',
  ]);
  expect(fieldsOf(publisher)).toEqual([
    'event name role time',
    'action address address_claimed event identity name peer time',
    'elapsed_ms event kind peer reason remote rtt_ms strategy time',
    'action address address_claimed bytes_in bytes_out event identity name peer seconds time',
    'event name time',
  ]);
  for (const { time } of [...(server?.events ?? []), ...(subscriber?.events ?? [])]) {
    expect(time).toBe(new Date(time).toISOString());
  }

  const { output } = world;
  expect(output).toContain('link closed');
  // The headings that the tests print are the command lines; what the programs print follows.
  const printed = output.replace(/^--- .*$/gm, '');
  for (const hidden of [SECRET, TOKEN, 'a-wrong-secret-of-the-tests', 'a-wrong-token']) {
    expect(printed).not.toContain(hidden);
  }
  // No hash, key or session id: those have 32 hex digits or more. Fingerprints are shown with colons.
  expect(printed).not.toMatch(/[0-9a-f]{32}/);
});

test('help and version', async ({ world }) => {
  const help = world.script(MAIN, ['--help']);
  expect(await help.exit()).toBe(0);
  expect(help.stdout).toMatch(/p2p[\s\S]+start[\s\S]+server[\s\S]+demo/);
  const version = world.script(MAIN, ['--version']);
  expect(await version.exit()).toBe(0);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
