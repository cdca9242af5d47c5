import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createServerCertificate } from '../../src/certificate.ts';
import { parseServerAddress } from '../../src/net/address.ts';
import type { Trust } from '../../src/net/trust.ts';
import { fetchGreeting, type GreetingOptions } from '../../src/signaling/greeting-client.ts';

const challenge = Buffer.alloc(32).toString('base64url');
const stun = { addresses: ['192.0.2.1'], ports: [3478, 3479] };
const hello = { type: 'hello', protocol: [1], server_version: '9.9', challenge, stun };

/** A server that does as told with whoever opens `/_control`. */
async function serve(greet: (socket: WebSocket) => void): Promise<{ url: string; heard: unknown[] }> {
  const heard: unknown[] = [];
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/_control' });
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  server.on('connection', (socket) => {
    socket.on('message', (data) => heard.push(String(data)));
    socket.on('close', (code) => heard.push(code));
    greet(socket);
  });
  await once(server, 'listening');
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

const fetchFrom = (url: string, options: Partial<GreetingOptions> & { trust?: Trust } = {}) =>
  fetchGreeting({ address: parseServerAddress(url), trust: {}, timeoutMs: 5000, ...options });

it('reads version and STUN, says nothing, and closes with 1000', async () => {
  const { url, heard } = await serve((socket) => {
    socket.send(JSON.stringify(hello));
    socket.send('what comes after it does not matter');
  });
  expect(await fetchFrom(url)).toEqual({ version: '9.9', stun });
  await expect.poll(() => heard).toEqual([1000]);
});

it('serves any protocol version, and a server without STUN', async () => {
  const { url } = await serve((socket) =>
    socket.send(JSON.stringify({ ...hello, protocol: [7], stun: undefined })),
  );
  expect(await fetchFrom(url)).toEqual({ version: '9.9', stun: undefined });
});

it.each<[string, (socket: WebSocket) => void, string]>([
  ['noise', (socket) => socket.send('noise'), 'protocol_error'],
  ['a binary message', (socket) => socket.send(Buffer.from(JSON.stringify(hello))), 'protocol_error'],
  ['another message', (socket) => socket.send('{"type":"pong","timestamp":1}'), 'protocol_error'],
  [
    'a refusal',
    (socket) => socket.send('{"type":"auth_error","code":"server_full","message":""}'),
    'server_full',
  ],
  ['a restart', (socket) => socket.close(1012), 'server_restarting'],
  ['a lost connection', (socket) => socket.terminate(), 'server_lost'],
])('rejects for %s', async (_, greet, code) => {
  const { url } = await serve(greet);
  await expect(fetchFrom(url)).rejects.toMatchObject({ code });
});

it('waits no longer than it may, for the upgrade or for the greeting', async () => {
  const silent = await serve(() => {});
  await expect(fetchFrom(silent.url, { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'server_unreachable',
    details: { host: '127.0.0.1', problem: 'timed out' },
  });
  await expect.poll(() => silent.heard).toEqual([1000]);

  const mute = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
  onTestFinished(() => void mute.close());
  await once(mute.listen(0, '127.0.0.1'), 'listening');
  const { port } = mute.address() as AddressInfo;
  await expect(fetchFrom(`ws://127.0.0.1:${port}`, { timeoutMs: 50 })).rejects.toMatchObject({
    details: { problem: 'timed out' },
  });
});

it('can be cancelled', async () => {
  const controller = new AbortController();
  const { url, heard } = await serve(() => setImmediate(() => controller.abort()));
  const { signal } = controller;
  await expect(fetchFrom(url, { signal })).rejects.toMatchObject({ code: 'server_unreachable' });
  await expect.poll(() => heard.length).toBe(1);
});

it('leaves a server that does not close its side', async () => {
  const { url, heard } = await serve((socket) => {
    socket.send(JSON.stringify(hello));
    // With this it answers a close frame, too.
    socket.close = () => {};
  });
  await fetchFrom(url);
  await expect.poll(() => heard, { timeout: 5000 }).toEqual([1000]);
});

it('trusts no certificate that it should not', async () => {
  const { cert, key, fingerprint } = await createServerCertificate(['127.0.0.1']);
  const https = createTlsServer({ cert, key });
  const websockets = new WebSocketServer({ server: https });
  websockets.on('connection', (socket) => socket.send(JSON.stringify(hello)));
  onTestFinished(() => {
    for (const socket of websockets.clients) socket.terminate();
    https.close();
  });
  await once(https.listen(0, '127.0.0.1'), 'listening');
  const url = `wss://127.0.0.1:${(https.address() as AddressInfo).port}`;
  await expect(fetchFrom(url)).rejects.toMatchObject({ code: 'server_untrusted' });
  expect(await fetchFrom(url, { trust: { fingerprint } })).toMatchObject({ version: '9.9' });
  await expect(fetchFrom('ws://192.0.2.1')).rejects.toMatchObject({ code: 'plain_refused' });
});
