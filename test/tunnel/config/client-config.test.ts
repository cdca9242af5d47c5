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
])('%j: %s', (yaml, message) => {
  expect(problemOf(yaml)).toContain(message);
});
