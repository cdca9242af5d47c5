import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultLimits } from '../../../src/signaling/limits.ts';
import { loadServerConfig } from '../../../src/tunnel/config/server-config.ts';
import { thrownBy } from '../../support/errors.ts';
import { temporaryFile } from '../../support/temporary.ts';

const load = (yaml: string) => loadServerConfig(temporaryFile('server.yml', yaml));

test('the defaults', () => {
  expect(loadServerConfig()).toEqual({
    listen: { host: '0.0.0.0', port: 4040, secure: true },
    tokens: [],
    directEnabled: true,
    rememberOutcomes: true,
    stun: { ports: [3478, 3479], required: false },
    limits: defaultLimits,
    logging: { level: 'info', format: 'pretty' },
    trustedProxies: [],
  });
  expect(load('')).toEqual(loadServerConfig());
});

test('every key', () => {
  const path = temporaryFile(
    'server.yml',
    `listen: ws://127.0.0.1:8080
tls: { cert: cert.pem, key: /etc/key.pem }
auth: { tokens: [t1, t2] }
p2p: { direct_enabled: false, remember_outcomes: false }
stun: { enabled: true, addresses: [10.0.0.4, "::"], public_addresses: [192.0.2.1, "2001:db8::1"], ports: [0, 3478] }
metrics: { listen: 127.0.0.1:9090 }
limits: { sessions: 1, bytes_per_second_per_tunnel: 0, buffered_bytes_per_publisher: 700000 }
logging: { level: debug, format: json }
trusted_proxies: [127.0.0.1, 10.0.0.0/8, "fd00::/8"]
`,
  );
  expect(loadServerConfig(path)).toEqual({
    listen: { host: '127.0.0.1', port: 8080, secure: false },
    tls: { cert: join(dirname(path), 'cert.pem'), key: '/etc/key.pem' },
    tokens: ['t1', 't2'],
    directEnabled: false,
    rememberOutcomes: false,
    stun: {
      addresses: ['10.0.0.4', '::'],
      publicAddresses: ['192.0.2.1', '2001:db8::1'],
      ports: [0, 3478],
      required: true,
    },
    metrics: { host: '127.0.0.1', port: 9090 },
    limits: { ...defaultLimits, sessions: 1, buffered_bytes_per_publisher: 700000 },
    logging: { level: 'debug', format: 'json' },
    trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'],
  });
});

test('a slow rate is a rate', () => {
  const { limits } = load('limits: { bytes_per_second_per_tunnel: 65536 }');
  expect(limits.bytes_per_second_per_tunnel).toBe(65536);
});

test('STUN is required where the file speaks of it, and is turned off by the file or the command line', () => {
  const defaults = { ports: [3478, 3479] };
  expect(load('stun: {}').stun).toEqual({ ...defaults, required: true });
  expect(load('stun: { enabled: true }').stun).toEqual({ ...defaults, required: true });
  expect(load('stun: { ports: [0, 1024] }').stun).toEqual({ ports: [0, 1024], required: true });
  expect(load('stun: { enabled: false, ports: [5000] }').stun).toBeUndefined();
  const path = temporaryFile('server.yml', 'stun: { enabled: true }');
  expect(loadServerConfig(path, { stunEnabled: false }).stun).toBeUndefined();
  expect(loadServerConfig(undefined, { stunEnabled: false }).stun).toBeUndefined();
});

test('the command line wins over the file', () => {
  const path = temporaryFile(
    'server.yml',
    'listen: 0.0.0.0:1\nauth: { tokens: [t] }\nlogging: { level: warn }\n',
  );
  expect(
    loadServerConfig(path, { listen: '[::1]:0', tokens: ['a'], directEnabled: false, logLevel: 'error' }),
  ).toMatchObject({
    listen: { host: '::1', port: 0, secure: true },
    tokens: ['a'],
    directEnabled: false,
    logging: { level: 'error', format: 'pretty' },
  });
  expect(thrownBy(() => loadServerConfig(undefined, { listen: 'nonsense:99999' })).code).toBe(
    'address_invalid',
  );
});

test.each([
  ['listen: localhost:70000\n', '1: listen: must be host:port'],
  ['tls: { cert: a.pem }\n', '1: tls.key: is missing'],
  ['auth:\n  tokens: []\n', '2: auth.tokens: must not be empty'],
  ['auth:\n  tokens: [12]\n', '2: auth.tokens[0]: must be text (put it in quotes)'],
  ['auth:\n  token: x\n', '2: auth.token: there is no such key'],
  ['stun: { addresses: [localhost] }\n', '1: stun.addresses[0]: must be an IP address'],
  ['stun: { addresses: [] }\n', '1: stun.addresses: must not be empty'],
  [
    `stun: { addresses: [${new Array(17).fill('10.0.0.1')}] }\n`,
    '1: stun.addresses: must have at most 16 entries',
  ],
  ['stun: { ports: [65536] }\n', '1: stun.ports[0]: A port is a whole number'],
  ['stun: { ports: [-1] }\n', '1: stun.ports[0]: A port is a whole number'],
  ['stun: { ports: [443] }\n', '1: stun.ports[0]: must be 0 or at least 1024, as clients ask no lower port'],
  ['stun: { ports: [3478, 1023] }\n', '1: stun.ports[1]: must be 0 or at least 1024'],
  ['stun: { ports: [] }\n', '1: stun.ports: must not be empty'],
  [`stun: { ports: [${new Array(17).fill(0)}] }\n`, '1: stun.ports: must have at most 16 entries'],
  ['stun: { enabled: 1 }\n', '1: stun.enabled: must be true or false'],
  ['stun:\n  public_addresses: [192.0.2.1]\n', '2: stun.public_addresses: must have one address for each'],
  [
    'stun:\n  addresses: [10.0.0.1, 10.0.0.2]\n  public_addresses: [192.0.2.1]\n',
    '3: stun.public_addresses: must have one address for each of stun.addresses',
  ],
  [
    'stun: { addresses: [10.0.0.1], public_addresses: [example.org] }\n',
    '1: stun.public_addresses[0]: must be an IP address',
  ],
  ['metrics:\n  listen: http://localhost\n', '2: metrics.listen: must be host:port'],
  ['limits:\n  sessions: 0\n', '2: limits.sessions: must be at least 1'],
  ['limits:\n  message_bytes: 10\n', '2: limits.message_bytes: must be at least 16384'],
  [
    'limits:\n  bytes_per_second_per_tunnel: 65535\n',
    '2: limits.bytes_per_second_per_tunnel: must be 0 or at least 65536',
  ],
  [
    'limits:\n  bytes_per_second_per_tunnel: -65536\n',
    '2: limits.bytes_per_second_per_tunnel: must be 0 or at least',
  ],
  ['limits:\n  tunnels_per_session_: 3\n', '2: limits.tunnels_per_session_: there is no such key'],
  ['logging: { level: loud }\n', '1: logging.level: must be silent or error or warn or info or debug'],
  ['trusted_proxies: [10.0.0.0/33]\n', '1: trusted_proxies[0]: must be an IP address or a network'],
])('%j: %s', (yaml, message) => {
  const error = thrownBy(() => load(yaml));
  expect(error.code).toBe('config_invalid');
  expect(error.message).toContain(`server.yml:${message}`);
});
