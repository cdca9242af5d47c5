import { expect, test } from 'vitest';
import { runCommand } from '../../src/cli/arguments.ts';
import { UnderpassError } from '../../src/errors.ts';

/** Parses the arguments; nothing is run. */
async function parse(...argv: string[]) {
  const calls: unknown[] = [];
  let printed = '';
  const record =
    (name: string) =>
    async (...parameters: unknown[]) => {
      calls.push([name, ...parameters]);
      return 7;
    };
  const commands = {
    server: record('server'),
    p2p: record('p2p'),
    start: record('start'),
    nat: record('nat'),
    demo: record('demo'),
  };
  const output = {
    color: false,
    write: (text: string) => {
      printed += text;
    },
  };
  const code = await runCommand(argv, commands, output, output).catch((error: unknown) => error);
  return { code, calls, printed };
}

test('every flag of p2p', async () => {
  const argv =
    'p2p 27015 --name n --target t --server s:1 --token k --secret x --local-host h --listen l --mode relay --json';
  const more = '--no-reconnect --insecure --server-fingerprint f --log-level debug --log-format json';
  const network = '--stun a --stun b:1 --no-port-mapping --no-lan-addresses';
  const peers = '--proxy-protocol v2 --allow a --allow b --deny c --grace 5 --udp-idle 9';
  const all = [argv, more, network, peers].flatMap((words) => words.split(' '));
  const { code, calls } = await parse(...all);
  expect(code).toBe(7);
  expect(calls).toEqual([
    [
      'p2p',
      '27015',
      {
        name: 'n',
        target: 't',
        server: 's:1',
        token: 'k',
        secret: 'x',
        localHost: 'h',
        listen: 'l',
        mode: 'relay',
        json: true,
        reconnect: false,
        insecure: true,
        serverFingerprint: 'f',
        stun: ['a', 'b:1'],
        portMapping: false,
        lanAddresses: false,
        proxyProtocol: 'v2',
        allow: ['a', 'b'],
        deny: ['c'],
        grace: '5',
        udpIdle: '9',
        logLevel: 'debug',
        logFormat: 'json',
      },
    ],
  ]);
  expect((await parse('p2p', '1', '--secret-file', 'f')).calls).toEqual([
    ['p2p', '1', { secretFile: 'f', reconnect: true, portMapping: true, lanAddresses: true }],
  ]);
});

test('every flag of server, start and demo', async () => {
  const server = await parse(
    'server',
    '-c',
    'f',
    '--listen',
    'l',
    '--token',
    'a',
    '--token',
    'b',
    '--no-direct',
    '--no-stun',
  );
  expect(server.calls).toEqual([
    ['server', { config: 'f', listen: 'l', token: ['a', 'b'], direct: false, stun: false }],
  ]);
  expect((await parse('server')).calls).toEqual([['server', { direct: true, stun: true }]]);
  const start = await parse('start', '--config', 'f', '--no-reconnect', '--json');
  expect(start.calls).toEqual([['start', { config: 'f', reconnect: false, json: true }]]);
  expect((await parse('demo')).calls).toEqual([['demo', undefined, {}]]);
  expect((await parse('demo', '8080', '--json')).calls).toEqual([['demo', '8080', { json: true }]]);
});

test('every flag of nat', async () => {
  const argv =
    'nat --server s:1 --stun a:1 --stun b:2 --no-port-mapping --insecure --server-fingerprint f --json';
  expect((await parse(...argv.split(' '))).calls).toEqual([
    [
      'nat',
      {
        server: 's:1',
        stun: ['a:1', 'b:2'],
        portMapping: false,
        insecure: true,
        serverFingerprint: 'f',
        json: true,
      },
    ],
  ]);
  expect((await parse('nat')).calls).toEqual([['nat', { portMapping: true }]]);
});

test.each([
  [['nat', '--token', 'x'], "unknown option '--token'"],
  [['nat', 'u.example'], "too many arguments for 'nat'"],
  [['nat', '--stun'], "option '--stun <host:port>' argument missing"],
  [['p2p'], "missing required argument 'ports'"],
  [['p2p', '1', '2'], "too many arguments for 'p2p'. Expected 1 argument but got 2"],
  [['p2p', '1', '--secert', 'x'], "unknown option '--secert' (Did you mean --secret?)"],
  [['p2p', '1', '--name'], "option '--name <name>' argument missing"],
  [['p2p', '1', '--mode', 'fast'], "argument 'fast' is invalid. Allowed choices are auto, relay, direct."],
  [['p2p', '1', '--proxy-protocol', 'v1'], "argument 'v1' is invalid. Allowed choices are v2."],
  [['p2p', '1', '--secret', 'x', '--secret-file', 'y'], "cannot be used with option '--secret <secret>'"],
  [['sevrer'], "unknown command 'sevrer' (Did you mean server?)"],
  [['server', '--log-level', 'loud'], 'Allowed choices are silent, error, warn, info, debug.'],
])('%j is a usage error', async (argv, problem) => {
  const { code, calls, printed } = await parse(...argv);
  expect(code).toBeInstanceOf(UnderpassError);
  expect(code).toMatchObject({ code: 'argument_invalid', category: 'usage' });
  expect((code as UnderpassError).message).toContain(problem);
  expect([calls, printed]).toEqual([[], '']);
});

test('help and version print and succeed; nothing at all prints help and does not', async () => {
  const help = await parse('p2p', '--help');
  expect(help.code).toBe(0);
  for (const flag of ['--name', '--target', '--secret-file', '--server-fingerprint', '--json']) {
    expect(help.printed).toContain(flag);
  }
  expect(await parse('--version')).toMatchObject({
    code: 0,
    printed: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
  expect(await parse()).toMatchObject({ code: 2, printed: expect.stringContaining('Commands:') });
});
