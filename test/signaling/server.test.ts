import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Certificate, createServerCertificate } from '../../src/certificate.ts';
import type { ErrorCode, UnderpassError } from '../../src/errors.ts';
import { Identity } from '../../src/identity.ts';
import { silentLogger } from '../../src/log.ts';
import { parseServerAddress } from '../../src/net/address.ts';
import { parseTrustedProxies } from '../../src/net/client-address.ts';
import { systemRuntime } from '../../src/net/runtime.ts';
import type { Trust } from '../../src/net/trust.ts';
import { WebSocketListener } from '../../src/net/websocket-server.ts';
import { planPunch } from '../../src/punch/strategy.ts';
import { SignalingClient, type SignalingHandler } from '../../src/signaling/client.ts';
import type { LinkOpen } from '../../src/signaling/hub-output.ts';
import { defaultLimits, type ServerLimits } from '../../src/signaling/limits.ts';
import { MemoryRegistry } from '../../src/signaling/registry.ts';
import { SignalingServer } from '../../src/signaling/server.ts';
import { coneVerdict, symmetricVerdict } from '../support/verdict.ts';

let certificate: Certificate;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  certificate = await createServerCertificate(['127.0.0.1']);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(secure: boolean, limits: Partial<ServerLimits> = {}) {
  const opened: LinkOpen[] = [];
  const failures: ErrorCode[] = [];
  const punched: string[] = [];
  const reported: [direction: string, bytes: number][] = [];
  const signaling = new SignalingServer({
    limits: { ...defaultLimits, ...limits },
    tokens: ['hunter2'],
    direct: true,
    rememberOutcomes: true,
    version: 'test',
    registry: new MemoryRegistry(),
    planPunch,
    checkSource: () => undefined,
    runtime: systemRuntime,
    log: silentLogger,
    hooks: {
      onLinkOpen: (link) => opened.push(link),
      onLinkClosed: () => {},
      onSessionClosed: () => {},
      onPunched: ({ outcome }) => punched.push(outcome),
      onDirectBytes: (direction, bytes) => reported.push([direction, bytes]),
      onFailure: ({ code }) => failures.push(code),
    },
  });
  const listener = new WebSocketListener({
    tls: secure ? { cert: certificate.cert, key: certificate.key } : undefined,
    trustedProxies: parseTrustedProxies([]),
    allow: (address) => signaling.allow(address),
    routes: [signaling.route],
    maxConnections: 100,
  });
  const { port } = await listener.listen('127.0.0.1', 0);
  closers.push(
    () => listener.close(),
    () => signaling.close(),
  );
  return {
    signaling,
    opened,
    failures,
    punched,
    reported,
    url: `${secure ? 'wss' : 'ws'}://127.0.0.1:${port}`,
  };
}

/** A client that has come online, or rejects with why it did not. */
function join(
  url: string,
  trust: Trust = {},
  handler: Partial<SignalingHandler> = {},
): Promise<SignalingClient> {
  return new Promise((resolve, reject) => {
    const client = new SignalingClient({
      address: parseServerAddress(url),
      trust,
      identity: Identity.generate(),
      token: 'hunter2',
      version: 'test',
      runtime: systemRuntime,
      handler: {
        onOnline: () => resolve(client),
        onOffline: (error: UnderpassError) => reject(error),
        onFatal: (error: UnderpassError) => reject(error),
        onOffer: () => {},
        onLinkClosed: () => {},
        onReplaced: () => {},
        onPeerMessage: () => {},
        onPunchStep: () => {},
        onPunchGo: () => {},
        onPunchRelay: () => {},
        ...handler,
      },
    });
    closers.push(() => client.close());
    client.start();
  });
}

const hash = 'ab'.repeat(32);
const mac = Buffer.alloc(32).toString('base64url');
const request = {
  link: Buffer.alloc(16, 1).toString('base64url'),
  name: 'game',
  key_id: 0,
  hash,
  offer: 'AA',
  mac,
};

describe.each([
  ['ws', false],
  ['wss', true],
])('over %s', (_, secure) => {
  it('publishes, waits, connects and closes', async () => {
    const { signaling, opened, url } = await serve(secure);
    const trust = { fingerprint: certificate.fingerprint };
    let over = (_link: string) => {};
    const closed = new Promise<string>((resolve) => {
      over = resolve;
    });
    const publisher = await join(url, trust, {
      onOffer: ({ link }) => publisher.answer(link, 'AAAA', mac),
      onLinkClosed: (link) => over(link),
    });
    const subscriber = await join(url, trust);
    await expect(subscriber.connect({ ...request, wait: false })).rejects.toMatchObject({
      code: 'tunnel_not_found',
    });
    const answered = await new Promise((resolve, reject) => {
      const register = () => void publisher.register('game', [{ key_id: 0, hash }]).catch(reject);
      subscriber.connect({ ...request, wait: true }, register).then(resolve, reject);
    });
    expect(answered).toMatchObject({ link: request.link, answer: 'AAAA', direct: true });
    expect(opened).toMatchObject([{ name: 'game', publisher: 's1', subscriber: 's2', token: 1 }]);
    expect(signaling.takeDataSession(await subscriber.openData())).toBe('s2');
    subscriber.closeLink(request.link);
    expect(await closed).toBe(request.link);
    expect(signaling.counts).toMatchObject({ sessions: 2, tunnels: 1, links: 0 });
  });
});

describe('two clients that look for a direct path', () => {
  it('are told what to do, hear each other, and report', async () => {
    const { url, punched, reported } = await serve(false);
    const heard: unknown[] = [];
    const message = { body: Buffer.from('sealed'), mac: Buffer.alloc(32, 5) };
    const listen = (who: string, client: () => SignalingClient): Partial<SignalingHandler> => ({
      onPunchStep: ({ link, step, plan: { strategies } }) => {
        heard.push([who, step, strategies[0]]);
        client().armed(link, step);
      },
      onPunchGo: (link, step) => {
        heard.push([who, step, 'go']);
        client().sendPeerMessage(link, message);
      },
      onPeerMessage: (link, sealed) => {
        heard.push([who, sealed]);
        client().directBytes(link, who === 'publisher' ? 3 : 4);
        client().punchResult(link, 1, { result: 'direct', strategy: 'direct', milliseconds: 9 });
      },
      onPunchRelay: (_link, search, reason) => heard.push([who, search, reason]),
    });
    const publisher = await join(
      url,
      {},
      {
        onOffer: ({ link }) => publisher.answer(link, 'AAAA', mac),
        ...listen('publisher', () => publisher),
      },
    );
    const subscriber = await join(
      url,
      {},
      listen('subscriber', () => subscriber),
    );
    const openVerdict = { ...coneVerdict, ipv6: false, hairpin: true };
    await publisher.register('game', [{ key_id: 0, hash }], openVerdict);
    subscriber.reportNat(openVerdict);
    await subscriber.connect({ ...request, wait: false });
    await expect.poll(() => [punched, reported.length]).toEqual([['direct'], 2]);
    await expect.poll(() => heard.length).toBe(6);
    for (const who of ['subscriber', 'publisher']) {
      // Both come from one address.
      expect(heard).toContainEqual([who, 1, 'hairpin']);
      expect(heard).toContainEqual([who, 1, 'go']);
      expect(heard).toContainEqual([who, message]);
    }
    expect(reported).toContainEqual(['up', 3]);
    expect(reported).toContainEqual(['down', 4]);
    subscriber.punchAgain(request.link, 1);
    await expect.poll(() => heard.length, { timeout: 3000 }).toBe(12);
  });
});

describe('an untrusted server', () => {
  it('never sees a connection, let alone the token', async () => {
    const { signaling, url } = await serve(true);
    await expect(join(url)).rejects.toMatchObject({ code: 'server_untrusted' });
    await expect(join(url, { fingerprint: Buffer.alloc(32) })).rejects.toMatchObject({
      code: 'server_untrusted',
    });
    expect(signaling.counts.connections).toBe(0);
    await join(url, { insecure: true });
    expect(signaling.counts.connections).toBe(1);
  });
});

describe('a client', () => {
  it('can stop waiting', async () => {
    const { signaling, url } = await serve(false);
    const subscriber = await join(url);
    const controller = new AbortController();
    const waiting = subscriber.connect(
      { ...request, wait: true },
      () => controller.abort(new Error('enough')),
      controller.signal,
    );
    await expect(waiting).rejects.toThrow('enough');
    await subscriber.openData();
    expect(signaling.counts.links).toBe(0);
  });

  it('learns where STUN is answered', async () => {
    const { signaling, url } = await serve(false);
    const stun = { addresses: ['192.0.2.1'], ports: [3478, 3479] };
    signaling.announceStun(stun);
    const told = await new Promise((resolve, reject) => {
      join(url, {}, { onOnline: (_resumed, _limits, said) => resolve(said) }).catch(reject);
    });
    expect(told).toEqual(stun);
  });

  it('says what NAT it is behind', async () => {
    const { signaling, url } = await serve(false);
    const client = await join(url);
    client.reportNat(coneVerdict);
    await client.openData();
    expect(signaling.sessionsByNat).toMatchObject({ 'port-restricted-cone': 1, unknown: 0 });
    await client.register('game', [{ key_id: 0, hash }], symmetricVerdict);
    expect(signaling.sessionsByNat).toMatchObject({ symmetric: 1 });
  });

  it('has its session ended with it', async () => {
    const { signaling, url } = await serve(false);
    const client = await join(url);
    client.close();
    await expect(client.openData()).rejects.toMatchObject({ code: 'server_lost' });
    await expect.poll(() => signaling.counts.sessions).toBe(0);
  });

  it('hears of a restart, and connects again', async () => {
    const { signaling, url } = await serve(false);
    const why = await new Promise<ErrorCode>((resolve, reject) => {
      join(url, {}, { onOffline: ({ code }) => resolve(code) }).then(() => signaling.close(), reject);
    });
    expect(why).toBe('server_restarting');
  });
});

describe('a bad client', () => {
  async function raw(url: string): Promise<WebSocket> {
    const socket = new WebSocket(`${url}/_control`);
    closers.push(() => socket.terminate());
    await once(socket, 'message');
    return socket;
  }

  it.each([
    ['a binary message', Buffer.from('{}'), 4000],
    ['noise', 'noise', 4000],
    ['a message that is too long', 'x'.repeat(65_537), 1009],
  ])('is closed for %s', async (_, message, code) => {
    const { signaling, url } = await serve(false);
    const socket = await raw(url);
    socket.send(message);
    expect((await once(socket, 'close'))[0]).toBe(code);
    await expect.poll(() => signaling.counts.connections).toBe(0);
  });

  it('is refused when it connects too often', async () => {
    const { url } = await serve(false, { connections_per_ip_per_minute: 2 });
    await raw(url);
    await raw(url);
    await expect(raw(url)).rejects.toThrow('429');
  });

  it('is dropped when a mebibyte waits for it', async () => {
    const { signaling, failures } = await serve(false);
    const socket = Object.assign(new EventEmitter(), {
      bufferedAmount: 1024 * 1024 - 100,
      dropped: false,
      send: (text: string) => {
        socket.bufferedAmount += text.length;
      },
      close: () => {},
      terminate: () => {
        socket.dropped = true;
      },
    });
    const admission = signaling.route.admit('', '127.0.0.1');
    if (typeof admission === 'function') admission(socket as unknown as WebSocket, new PassThrough());
    expect(socket.dropped).toBe(true);
    expect(failures).toEqual(['protocol_error']);
    expect(signaling.counts.connections).toBe(0);
  });
});
