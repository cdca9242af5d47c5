import { once } from 'node:events';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { type Certificate, createServerCertificate, formatFingerprint } from '../../src/certificate.ts';
import { parseServerAddress } from '../../src/net/address.ts';
import { parseTrustedProxies } from '../../src/net/client-address.ts';
import type { Trust } from '../../src/net/trust.ts';
import { connectWebSocket, dropIfStranded, isStranded } from '../../src/net/websocket-client.ts';
import { type Admission, WebSocketListener } from '../../src/net/websocket-server.ts';

let certificate: Certificate;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  certificate = await createServerCertificate(['localhost', '127.0.0.1']);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface ListenerSetup {
  secure?: boolean;
  allow?: (address: string) => boolean;
  admit?: (captured: string, address: string) => Admission;
  maxConnections?: number;
}

/** Listens on a free port; greets every WebSocket in the same packet as the upgrade. */
async function listen({
  secure = false,
  allow = () => true,
  admit,
  maxConnections = 100,
}: ListenerSetup = {}) {
  const listener = new WebSocketListener({
    tls: secure ? { cert: certificate.cert, key: certificate.key, honorCipherOrder: false } : undefined,
    trustedProxies: parseTrustedProxies([]),
    allow,
    routes: [
      { path: /^\/_control$/, maxPayload: () => 1000, admit: admit ?? (() => greet) },
      { path: /^\/_data\/([0-9a-f]{32})$/, maxPayload: () => 2000, admit: admit ?? (() => greet) },
    ],
    maxConnections,
  });
  const { port } = await listener.listen('127.0.0.1', 0);
  closers.push(() => listener.close());
  return { listener, url: `${secure ? 'wss' : 'ws'}://127.0.0.1:${port}` };
}

function greet(socket: WebSocket): void {
  socket.on('error', () => socket.terminate());
  socket.send('hello');
}

async function connect(url: string, trust: Trust = {}, path = '/_control', timeout = 5000) {
  const { websocket: socket } = await connectWebSocket({
    address: parseServerAddress(url),
    path,
    trust,
    maxPayload: 1000,
    timeout,
  });
  closers.push(() => socket.terminate());
  return socket;
}

describe('a WebSocket whose address has gone', () => {
  it.each([
    ['192.168.1.2', ['127.0.0.1', '192.168.1.77'], true],
    ['::ffff:192.168.1.2', ['192.168.1.77'], true],
    ['2a0e:90::2', ['2a0e:90::3'], true],
    ['192.168.1.2', ['127.0.0.1', '192.168.1.2'], false],
    ['::ffff:192.168.1.2', ['192.168.1.2'], false],
    ['fe80::1%eth0', ['fe80::1'], false],
    // The whole of 127/8 is ours, and one address of it is told.
    ['127.0.0.5', ['127.0.0.1'], false],
    ['192.168.1.2', [], false],
    [undefined, ['192.168.1.2'], false],
  ] as const)('is told from others: %s on %j', (local, own, stranded) => {
    expect(isStranded(local, own)).toBe(stranded);
  });

  it('is ended at once, and no other', async () => {
    const { url } = await listen();
    const websocket = await connect(url);
    const closed = once(websocket, 'close');
    expect(dropIfStranded({ websocket, transport: new net.Socket() })).toBe(false);
    const gone = Object.defineProperty(new net.Socket(), 'localAddress', { value: '203.0.113.7' });
    expect(dropIfStranded({ websocket, transport: gone })).toBe(true);
    await closed;
  });
});

describe('connectWebSocket', () => {
  it('loses no message that comes with the upgrade', async () => {
    const { url } = await listen();
    for (let i = 0; i < 20; i++) {
      const [message] = await once(await connect(url), 'message');
      expect(String(message)).toBe('hello');
    }
  });

  it('trusts a pinned certificate and prefers AES-128-GCM', async () => {
    const { url } = await listen({ secure: true });
    const socket = await connect(url, { fingerprint: certificate.fingerprint });
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    const { _socket } = socket as unknown as { _socket: tls.TLSSocket };
    expect(_socket.getCipher().standardName).toBe('TLS_AES_128_GCM_SHA256');
    expect(socket.extensions).toBe('');
  });

  it('accepts any certificate when told to', async () => {
    const { url } = await listen({ secure: true });
    await connect(url, { insecure: true });
  });

  it('a pin beats --insecure', async () => {
    const { url } = await listen({ secure: true });
    await expect(connect(url, { insecure: true, fingerprint: Buffer.alloc(32) })).rejects.toMatchObject({
      code: 'server_untrusted',
    });
  });

  it('refuses an unknown certificate, shows its fingerprint, and has sent nothing but the handshake', async () => {
    let received = 0;
    const server = tls.createServer({ cert: certificate.cert, key: certificate.key });
    const gone = new Promise<void>((resolve) => {
      server.on('secureConnection', (socket) => {
        socket.on('data', (chunk) => {
          received += chunk.length;
        });
        socket.on('error', () => socket.destroy());
        socket.on('close', () => resolve());
      });
      server.on('tlsClientError', () => resolve());
    });
    server.listen(0, '127.0.0.1');
    closers.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    await expect(connect(`127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'server_untrusted',
      details: {
        host: '127.0.0.1',
        problem: 'self-signed',
        fingerprint: formatFingerprint(certificate.fingerprint),
      },
    });
    await gone;
    expect(received).toBe(0);
  });

  it('refuses plain text to anything but loopback, without asking the network', async () => {
    await expect(connect('ws://192.0.2.1:4040')).rejects.toMatchObject({
      code: 'plain_refused',
      details: { host: '192.0.2.1' },
    });
  });

  it('says why a server cannot be reached', async () => {
    const server = net.createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const unreachable = (problem: string) => ({ code: 'server_unreachable', details: { problem } });
    await expect(connect(`ws://127.0.0.1:${port}`, {}, '/', 50)).rejects.toMatchObject(
      unreachable('timed out'),
    );
    await expect(connect(`wss://127.0.0.1:${port}`, {}, '/', 50)).rejects.toMatchObject(
      unreachable('timed out'),
    );
    await new Promise((resolve) => server.close(resolve));
    await expect(connect(`ws://127.0.0.1:${port}`)).rejects.toMatchObject(unreachable('connection refused'));
    const { url } = await listen();
    await expect(connect(url.replace('ws:', 'wss:'))).rejects.toMatchObject(
      unreachable('it does not speak TLS'),
    );
  });

  it('can be cancelled', async () => {
    const server = net.createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    server.listen(0, '127.0.0.1');
    closers.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const controller = new AbortController();
    const connecting = connectWebSocket({
      address: parseServerAddress(`ws://127.0.0.1:${port}`),
      path: '/',
      trust: {},
      maxPayload: 1,
      timeout: 5000,
      signal: controller.signal,
    });
    await once(server, 'connection');
    controller.abort();
    await expect(connecting).rejects.toMatchObject({
      code: 'server_unreachable',
      details: { problem: 'cancelled' },
    });
  });

  it.each([
    [401, 'auth_failed'],
    [404, 'server_unreachable'],
    [429, 'rate_limited'],
    [503, 'server_full'],
  ] as const)('reads HTTP status %d as %s', async (status, code) => {
    const { url } = await listen({ admit: () => status });
    await expect(connect(url)).rejects.toMatchObject({ code });
  });
});

describe('WebSocketListener', () => {
  it('gives a route what its path captured, and the address', async () => {
    const seen: string[] = [];
    const { url } = await listen({
      admit: (captured, address) => {
        seen.push(captured, address);
        return greet;
      },
    });
    const id = '0123456789abcdef'.repeat(2);
    await connect(url, {}, `/_data/${id}`);
    expect(seen).toEqual([id, '127.0.0.1']);
  });

  it.each(['/', '/_control/', '/_data/', '/_data/xyz', `/_data/${'a'.repeat(33)}`])(
    'has nothing at %s',
    async (path) => {
      const { url } = await listen();
      await expect(connect(url, {}, path)).rejects.toMatchObject({ details: { problem: 'HTTP status 404' } });
    },
  );

  it('asks whether the address may connect before it upgrades', async () => {
    const { url } = await listen({ allow: (address) => address !== '127.0.0.1' });
    await expect(connect(url)).rejects.toMatchObject({ code: 'rate_limited' });
  });

  it('closes a WebSocket that sends more than the route takes', async () => {
    const { url } = await listen();
    const socket = await connect(url);
    socket.send('x'.repeat(1001));
    const [code] = await once(socket, 'close');
    expect(code).toBe(1009);
  });

  it('answers plain requests', async () => {
    const { url } = await listen();
    const base = url.replace('ws:', 'http:');
    expect(await (await fetch(base)).text()).toContain('underpass');
    expect((await fetch(`${base}/_control`)).status).toBe(404);
  });

  it('stops listening without ending what is open, then ends it', async () => {
    const { listener, url } = await listen();
    const socket = await connect(url);
    listener.stopListening();
    await expect(connect(url)).rejects.toMatchObject({ details: { problem: 'connection refused' } });
    expect(socket.readyState).toBe(socket.OPEN);
    await Promise.all([listener.close(), once(socket, 'close')]);
  });

  it.each([false, true])(
    'closes a connection too many, however idle the others are (TLS: %s)',
    async (secure) => {
      const { url } = await listen({ secure, maxConnections: 2 });
      const open = await connect(url, { insecure: true });
      const { port } = parseServerAddress(url);
      const idle = net.connect(port, '127.0.0.1');
      closers.push(() => idle.destroy());
      await once(idle, 'connect');
      await expect(connect(url, { insecure: true })).rejects.toMatchObject({ code: 'server_unreachable' });
      open.terminate();
      await expect
        .poll(() =>
          connect(url, { insecure: true }).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
    },
  );

  it('says when the port is taken', async () => {
    const { url } = await listen();
    const listener = new WebSocketListener({
      tls: undefined,
      trustedProxies: parseTrustedProxies([]),
      allow: () => true,
      routes: [],
      maxConnections: 1,
    });
    const { port } = parseServerAddress(url);
    await expect(listener.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'port_in_use',
      details: { port },
    });
    await expect(listener.listen('192.0.2.1', 0)).rejects.toMatchObject({ code: 'listen_failed' });
  });
});
