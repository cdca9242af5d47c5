import { chmodSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { loadClientConfig } from '../../../src/tunnel/config/client-config.ts';
import { thrownBy } from '../../support/errors.ts';
import { temporaryFile } from '../../support/temporary.ts';

const load = (yaml: string) => loadClientConfig(temporaryFile('tunnels.yml', yaml));
const problemOf = (yaml: string) => {
  const error = thrownBy(() => load(yaml));
  expect(error.code).toBe('config_invalid');
  return error.message.replace(/^.*tunnels\.yml:/, '');
};
const tunnel = (lines: string) => `tunnels:\n  web:\n    proto: p2p\n    local_port: 80\n${lines}`;
const named = (lines: string) => tunnel(`    p2p_name: web\n    p2p_secret: s\n${lines}`);
const portsOf = (role: 'name' | 'target', ports: string) =>
  `tunnels:\n  web:\n    proto: p2p\n    p2p_${role}: web\n    p2p_secret: s\n    ports: ${ports}\n`;
const targeted = (lines: string) => tunnel(`    p2p_target: web\n    p2p_secret: s\n${lines}`);

test('a publisher and a subscriber, as players write them', () => {
  const yaml = `tunnels:
  # Publisher
  gameserver:
    proto: p2p
    local_port: 27015
    p2p_name: my-game
    p2p_secret: shared-secret-123

  # Subscriber
  connect:
    proto: p2p
    local_port: 8000
    p2p_target: my-game
    p2p_secret: shared-secret-123
`;
  expect(load(yaml)).toEqual({
    tunnels: [
      {
        role: 'publisher',
        key: 'gameserver',
        options: { name: 'my-game', secret: 'shared-secret-123', localPort: 27015 },
      },
      {
        role: 'subscriber',
        key: 'connect',
        options: { target: 'my-game', secret: 'shared-secret-123', localPort: 8000 },
      },
    ],
    warnings: [],
  });
});

test('every other key', () => {
  const print = 'AB:'.repeat(31).concat('cd');
  const config = load(
    `server: wss://u.example:4040\nauth_token: t\ninsecure: true\nserver_fingerprint: ${print}\nstun: [stun.example:3479, "[::1]"]\nport_mapping: false\nlan_addresses: false\n${named(
      '    local_host: 10.0.0.7\n    mode: relay\n',
    )}  to:\n    proto: p2p\n    local_port: 0\n    listen: "::1"\n    p2p_target: x\n    p2p_secret: s\n`,
  );
  expect(config).toMatchObject({ server: 'wss://u.example:4040', token: 't', insecure: true });
  expect(config.serverFingerprint).toBe(print);
  expect(config).toMatchObject({
    stun: ['stun.example:3479', '[::1]'],
    portMapping: false,
    lanAddresses: false,
  });
  expect(config.tunnels[0]?.options).toMatchObject({ localHost: '10.0.0.7', mode: 'relay' });
  expect(config.tunnels[1]?.options).toMatchObject({ listenHost: '::1', localPort: 0 });
});

test('ports, keys and times', () => {
  const bare = (lines: string) => named(lines).replace('    local_port: 80\n', '');
  const { tunnels } = load(
    `${bare(`    ports: [25565, 24454/udp, 27015-27020/udp]
    proxy_protocol: v2
    allow: [3f2a-91bc-0d4e-77a1-c2f0]
    deny: ["1111-2222-3333-4444-5555"]
    grace: 0
    udp_idle: 300
    buffers: 16
`)}  one: { proto: p2p, ports: 80/tcp+udp, p2p_name: one, p2p_secret: s }
  udp: { proto: p2p, local_port: 80, protocol: udp, p2p_name: udp, p2p_secret: s }
  same: { proto: p2p, ports: same, p2p_target: x, p2p_secret: s, grace: 3600 }
  at: { proto: p2p, ports: 8000/udp, p2p_target: x, p2p_secret: s }
  too: { proto: p2p, local_port: 8000, p2p_target: x, p2p_secret: s }
`,
  );
  expect(tunnels.map(({ options }) => options)).toEqual([
    {
      ...{ name: 'web', secret: 's', ports: [25565, '24454/udp', '27015-27020/udp'], proxyProtocol: 'v2' },
      ...{
        allow: ['3f2a-91bc-0d4e-77a1-c2f0'],
        deny: ['1111-2222-3333-4444-5555'],
        grace: 0,
        udpIdle: 300,
        buffers: 16,
      },
    },
    { name: 'one', secret: 's', ports: '80/tcp+udp' },
    { name: 'udp', secret: 's', localPort: 80, protocol: 'udp' },
    { target: 'x', secret: 's', ports: 'same', grace: 3600 },
    { target: 'x', secret: 's', ports: '8000/udp' },
    { target: 'x', secret: 's', localPort: 8000 },
  ]);
});

test('a secret file lies beside the configuration; its line end is not part of the secret', () => {
  const path = temporaryFile('tunnels.yml', tunnel('    p2p_name: web\n    p2p_secret_file: web.secret\n'));
  const secretFile = join(dirname(path), 'web.secret');
  writeFileSync(secretFile, ' täglich \n', { mode: 0o600 });
  expect(loadClientConfig(path)).toMatchObject({
    tunnels: [{ options: { secret: ' täglich ' } }],
    warnings: [],
  });

  chmodSync(secretFile, 0o640);
  expect(loadClientConfig(path).warnings).toEqual([
    `other users of this machine can read ${secretFile}; run: chmod 600 ${secretFile}`,
  ]);

  writeFileSync(secretFile, '\n');
  expect(thrownBy(() => loadClientConfig(path)).message).toContain(
    ':6: tunnels.web.p2p_secret_file: the secret in this file is empty or too long',
  );
});

test('an overriding secret replaces those of the file, present or not', () => {
  const path = temporaryFile(
    'tunnels.yml',
    named('  b:\n    proto: p2p\n    local_port: 1\n    p2p_name: b\n'),
  );
  const secrets = loadClientConfig(path, { secret: 'other' }).tunnels.map(({ options }) => options.secret);
  expect(secrets).toEqual(['other', 'other']);
});

test.each([
  [tunnel('    p2p_secret: s\n'), '2: tunnels.web: needs p2p_name to publish, or p2p_target to connect'],
  [named('    p2p_target: x\n'), '7: tunnels.web.p2p_target: cannot be used together with p2p_name'],
  [named('    listen: 0.0.0.0\n'), '7: tunnels.web.listen: is for tunnels with p2p_target'],
  [targeted('    local_host: a\n'), '7: tunnels.web.local_host: is for tunnels with p2p_name'],
  [
    named('    p2p_secret_file: f\n'),
    '7: tunnels.web.p2p_secret_file: cannot be used together with p2p_secret',
  ],
  [tunnel('    p2p_name: web\n'), '2: tunnels.web: needs p2p_secret or p2p_secret_file'],
  [
    tunnel('    p2p_name: web\n    p2p_secret: ""\n'),
    '6: tunnels.web.p2p_secret: the secret is empty or too long',
  ],
  [
    tunnel('    p2p_name: My Game\n    p2p_secret: s\n'),
    '5: tunnels.web.p2p_name: A name has 1 to 64 characters',
  ],
  [tunnel('    p2p_name: a\n    p2p_secret_file: no\n'), '6: tunnels.web.p2p_secret_file: cannot read'],
  [named('').replace('80', '70000'), '4: tunnels.web.local_port: A port is a whole number'],
  [named('').replace('80', '0'), '4: tunnels.web.local_port: must be the port of the service'],
  [named('').replace('    local_port: 80\n', ''), '2: tunnels.web: needs local_port or ports'],
  [named('    ports: 81\n'), '4: tunnels.web.local_port: cannot be used together with ports'],
  [portsOf('name', '80\n    protocol: udp'), '7: tunnels.web.protocol: goes with local_port'],
  [portsOf('name', '{ a: 1 }'), '6: tunnels.web.ports: must be a port or a list of ports'],
  [portsOf('name', '[80, 80]'), '6: tunnels.web.ports: 80/tcp is there twice'],
  [portsOf('name', '1-400'), '6: tunnels.web.ports: a tunnel has at most 256 ports'],
  [portsOf('name', '80/secret'), '6: tunnels.web.ports: Write 27015, 27015/udp,'],
  [portsOf('name', '0'), '6: tunnels.web.ports: A port is a whole number'],
  [portsOf('name', 'same'), '6: tunnels.web.ports: A port is a whole number'],
  [portsOf('target', '[80, 81]'), '6: tunnels.web.ports: to reach a tunnel takes one port, same, or 0'],
  [named('    protocol: sctp\n'), '7: tunnels.web.protocol: must be tcp or udp or tcp+udp'],
  [named('    proxy_protocol: v1\n'), '7: tunnels.web.proxy_protocol: must be v2'],
  [named('    allow: []\n'), '7: tunnels.web.allow: must not be empty'],
  [named('    deny: [192.0.2.7]\n'), '7: tunnels.web.deny[0]: must be the fingerprint of a key'],
  [named('    grace: 3601\n'), '7: tunnels.web.grace: must be at most 3600'],
  [named('    grace: 1.5\n'), '7: tunnels.web.grace: must be a whole number'],
  [named('    udp_idle: 0\n'), '7: tunnels.web.udp_idle: must be at least 1'],
  [named('    buffers: 3\n'), '7: tunnels.web.buffers: must be at least 4'],
  [targeted('    proxy_protocol: v2\n'), '7: tunnels.web.proxy_protocol: is for tunnels with p2p_name'],
  [targeted('    allow: [3f2a-91bc-0d4e-77a1-c2f0]\n'), '7: tunnels.web.allow: is for tunnels with p2p_name'],
  [named('').replace('proto: p2p', 'proto: http'), '3: tunnels.web.proto: must be p2p'],
  [named('    mode: fast\n'), '7: tunnels.web.mode: must be auto or relay or direct'],
  [targeted('    listen: 127.0.0.1:80\n'), '7: tunnels.web.listen: must be a host name or an IP address'],
  [targeted('    listen: 1.2.3\n'), '7: tunnels.web.listen: must be a host name or an IP address'],
  ['server: "ws://"\n', '1: server: Write it as host:port'],
  ['server_fingerprint: ab:cd\n', '1: server_fingerprint: must be 64 hex digits'],
  ['stun: stun.example\n', '1: stun: must be a list'],
  ['stun:\n  - a\n  - stun:a:1\n', '3: stun[1]: must be host:port'],
  ['stun: [a:0]\n', '1: stun[0]: must be host:port'],
  [`stun: [${new Array(9).fill('a')}]\n`, '1: stun: must have at most 8 entries'],
  ['port_mapping: upnp\n', '1: port_mapping: must be true or false'],
  ['lan_addresses: 0\n', '1: lan_addresses: must be true or false'],
  ['auth_token: "a b"\n', '1: auth_token: must be 1 to 1024 visible ASCII characters'],
  [
    named('  b:\n    proto: p2p\n    local_port: 1\n    p2p_name: web\n    p2p_secret: s\n'),
    '10: tunnels.b.p2p_name: is also used by tunnels.web',
  ],
  [
    targeted('  b:\n    proto: p2p\n    local_port: 80\n    p2p_target: x\n    p2p_secret: s\n'),
    '9: tunnels.b.local_port: is also used by tunnels.web',
  ],
  [
    targeted('  b:\n    proto: p2p\n    ports: 80/tcp+udp\n    p2p_target: x\n    p2p_secret: s\n'),
    '9: tunnels.b.ports: is also used by tunnels.web',
  ],
])('%j: %s', (yaml, message) => {
  expect(problemOf(yaml)).toContain(message);
});
