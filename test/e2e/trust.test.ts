import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { expect } from 'vitest';
import { createServerCertificate, formatFingerprint } from '../../src/certificate.ts';
import { echo, NAME, SECRET, test, type World } from '../support/e2e.ts';

const PUBLISH = ['p2p', '27015', '--name', NAME, '--secret', SECRET, '--token', 'the-token', '--json'];

/** Something that speaks TLS where a server is expected, and counts what it is told. */
async function impostor(world: World) {
  const { cert, key, fingerprint } = await createServerCertificate(['localhost', '127.0.0.1']);
  const heard = { connections: 0, bytes: 0 };
  const server = createServer({ cert, key }, (socket) => {
    socket.on('data', (chunk) => {
      heard.bytes += chunk.length;
    });
    socket.on('error', () => socket.destroy());
  });
  server.on('connection', () => {
    heard.connections += 1;
  });
  // The client that leaves after the certificate has not finished the handshake.
  server.on('tlsClientError', () => undefined);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  world.onEnd(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { heard, url: `wss://127.0.0.1:${port}`, fingerprint: formatFingerprint(fingerprint) };
}

test('an untrusted server is shown by its fingerprint and told nothing', async ({ world }) => {
  const { heard, url, fingerprint } = await impostor(world);
  const program = world.run([...PUBLISH, '--server', url]);
  const error = await program.event('error', { code: 'server_untrusted', retry: false });
  expect(error.message).toContain('127.0.0.1');
  expect(error.message).toContain('self-signed');
  expect(error.message).toContain(fingerprint);
  expect(error.hint).toContain(`--server-fingerprint ${fingerprint}`);
  expect(await program.exit()).toBe(3);
  expect(heard).toEqual({ connections: 1, bytes: 0 });
});

test('the right fingerprint, in any spelling, is enough; a wrong one is refused before a byte', async ({
  world,
}) => {
  const server = await world.server({ scheme: 'wss' });
  const service = await world.echoService();
  const spelling = (server.fingerprint ?? '').replaceAll(':', '').toLowerCase();
  const access = ['--server', server.url, '--server-fingerprint', spelling];
  await world.publish({ access }, service.port);
  expect(await echo((await world.subscribe(server)).port)).toBe('ping');

  const { heard, url, fingerprint } = await impostor(world);
  const program = world.run([...PUBLISH, '--server', url, '--server-fingerprint', 'ab'.repeat(32)]);
  const error = await program.event('error', { code: 'server_untrusted', retry: false });
  expect(error.message).toContain('not the expected fingerprint');
  expect(error.message).toContain(fingerprint);
  expect(await program.exit()).toBe(3);
  // Not even --insecure makes another certificate the one that was asked for.
  const insecure = world.run([
    ...PUBLISH,
    '--server',
    url,
    '--server-fingerprint',
    'ab'.repeat(32),
    '--insecure',
  ]);
  expect(await insecure.exit()).toBe(3);
  expect(heard).toEqual({ connections: 2, bytes: 0 });
});

test('--insecure accepts any certificate', async ({ world }) => {
  const server = await world.server({ scheme: 'wss' });
  const access = ['--server', server.url, '--insecure'];
  await world.publish({ access }, (await world.echoService()).port);
  expect(await echo((await world.subscribe({ access })).port)).toBe('ping');
});

test("an operator's certificate is trusted where Node is told to, and nowhere else", async ({ world }) => {
  const { cert, key } = await createServerCertificate(['localhost', '127.0.0.1']);
  const file = world.file('cert.pem', cert);
  world.file('key.pem', key);
  const config = 'tls: { cert: cert.pem, key: key.pem }';
  const { port } = await world.server({ scheme: 'wss', config });
  const args = [...PUBLISH, '--server', `localhost:${port}`];
  const trusting = world.run(args, 'publisher', { env: { NODE_EXTRA_CA_CERTS: file } });
  await trusting.event('ready', { role: 'publisher' });
  const doubting = world.run(args, 'doubting');
  await doubting.event('error', { code: 'server_untrusted', retry: false });

  // Made for localhost, it is no proof of another name for the same machine.
  const { port: other } = await world.server({
    scheme: 'wss',
    config,
    args: ['--listen', 'wss://127.0.0.2:0'],
  });
  const elsewhere = [...PUBLISH, '--server', `wss://127.0.0.2:${other}`];
  const misled = world.run(elsewhere, 'misled', { env: { NODE_EXTRA_CA_CERTS: file } });
  const error = await misled.event('error', { code: 'server_untrusted', retry: false });
  expect(error.message).toContain('made for another host');
});

test('a certificate that the server made is kept', async ({ world }) => {
  const first = await world.server({ scheme: 'wss' });
  expect(first.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  await first.program.stop();
  const again = await world.server({ scheme: 'wss' });
  expect(again.fingerprint).toBe(first.fingerprint);
  const other = await world.server({ scheme: 'wss', user: 'other-operator' });
  expect(other.fingerprint).not.toBe(first.fingerprint);
});

test('a server that changes its certificate between two connections is left', async ({ world }) => {
  const server = await world.server({ scheme: 'wss' });
  const publisher = await world.publish(server, (await world.echoService()).port);
  await server.program.stop();
  await publisher.event('error', { retry: true });
  await world.server({ scheme: 'wss', port: server.port, user: 'usurper' });
  await publisher.event('error', { code: 'server_untrusted', retry: false });
  expect(await publisher.exit()).toBe(3);
});
