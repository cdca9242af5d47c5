import type { Duplex } from 'node:stream';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { expect } from 'vitest';
import type { WebSocket } from 'ws';
import { createLinkCertificate } from '../../src/certificate.ts';
import { BinarySocket } from '../../src/net/binary-socket.ts';
import { Budget } from '../../src/net/budget.ts';
import { systemRuntime } from '../../src/net/runtime.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { Mux } from '../../src/relay/mux.ts';
import { BULK_LANE, encodePreface } from '../../src/relay/preface.ts';
import { echo, SECRET, test, type World } from '../support/e2e.ts';
import { editInner, HostileServer, type Message, type Tricks } from '../support/e2e-hostile-server.ts';
import { Middlebox } from '../support/e2e-middlebox.ts';

async function hostile(world: World, upstream: string, tricks: Tricks): Promise<HostileServer> {
  const server = await HostileServer.start(upstream, tricks);
  world.onEnd(() => server.close());
  return server;
}

const swapped = 'cd'.repeat(32);
const swapFingerprint = (text: string) =>
  editInner(text, (inner) => {
    inner.fingerprint = swapped;
  });

const swaps: [string, (message: Message) => void][] = [
  [
    'the fingerprint in an answer',
    (message) => {
      if (message.answer !== undefined) message.answer = swapFingerprint(message.answer);
    },
  ],
  [
    'the fingerprint in an offer',
    (message) => {
      if (message.offer !== undefined) message.offer = swapFingerprint(message.offer);
    },
  ],
  [
    'the MAC of an answer',
    (message) => {
      if (message.type === 'p2p_answer') message.mac = Buffer.alloc(32, 7).toString('base64url');
    },
  ],
  [
    'the MAC of an offer',
    (message) => {
      if (message.type === 'p2p_connect') message.mac = Buffer.alloc(32, 7).toString('base64url');
    },
  ],
];

test.for(swaps)('a server that swaps %s is named, and gets nothing', async ([, edit], { world }) => {
  const server = await world.server();
  const bad = await hostile(world, server.url, { edit });
  const reached: string[] = [];
  const service = await world.service((socket) => socket.on('data', (chunk) => reached.push(String(chunk))));
  await world.publish(server, service.port);
  const subscriber = world.subscriber(bad);
  const error = await subscriber.event('error', { code: 'peer_unverified', retry: false });
  expect(error.hint).toContain('Do not trust this server');
  expect(await subscriber.exit()).toBe(3);
  expect(reached).toEqual([]);
});

test('a server that swaps what a publisher hears is named there, too', async ({ world }) => {
  const server = await world.server();
  const bad = await hostile(world, server.url, {
    edit: (message) => {
      if (message.type === 'p2p_offer') message.offer = swapFingerprint(message.offer ?? '');
    },
  });
  const publisher = await world.publish(bad, 9);
  const subscriber = world.subscriber(server);
  await publisher.event('error', { code: 'peer_unverified' });
  await subscriber.event('error', { code: 'peer_unverified', retry: false });
  expect(await subscriber.exit()).toBe(3);
});

/** The server's end of a `/_data` WebSocket, with one stream for a link: what a relay would bridge. */
function openLane(socket: WebSocket, transport: Duplex, link: string): Duplex {
  const pipe = new BinarySocket(socket, transport, {
    onBytes: (chunk) => mux.receive(chunk),
    onClose: () => mux.lost(),
  });
  const options = { role: 'client', maxInbound: 0, maxWindow: 2 ** 24, budget: new Budget(2 ** 26) } as const;
  const mux: Mux = new Mux(options, pipe, systemRuntime, {
    onStream: (stream) => stream.reset(),
    onClose: () => {},
  });
  const lane = mux.open();
  if (lane === undefined) throw new Error('no stream');
  lane.write(encodePreface({ link: Buffer.from(link, 'base64url'), lane: BULK_LANE }));
  return new StreamDuplex(lane);
}

/** Collects what reaches the relay in plain text. */
function readAsRelay(socket: TLSSocket, heard: Buffer[]): void {
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  socket.on('error', () => socket.destroy());
}

test('a relay that ends TLS towards a subscriber with a certificate of its own', async ({ world }) => {
  const server = await world.server();
  const certificate = await createLinkCertificate();
  const heard: Buffer[] = [];
  let link = '';
  let attempts = 0;
  const bad = await hostile(world, server.url, {
    edit: (message) => {
      if (message.type === 'p2p_connect') link = message.link ?? '';
    },
    takeData: (socket, transport) => {
      attempts += 1;
      const secureContext = createSecureContext({ ...certificate, minVersion: 'TLSv1.3' });
      const options = { isServer: true, secureContext, requestCert: true, rejectUnauthorized: false };
      const lane = openLane(socket, transport, link);
      readAsRelay(new TLSSocket(lane, { ...options, ALPNProtocols: ['underpass/1'] }), heard);
    },
  });
  await world.publish(server, (await world.echoService()).port);
  const subscriber = world.subscriber(bad);
  const error = await subscriber.event('error', { code: 'peer_certificate', retry: false });
  expect(error.hint).toContain('Do not trust this server');
  expect(await subscriber.exit()).toBe(3);
  expect(attempts).toBe(1);
  expect(heard).toEqual([]);
});

test.for(['a certificate of its own', 'no certificate'])(
  'a relay that poses as the subscriber, with %s',
  async (which, { world }) => {
    const server = await world.server();
    const certificate = which === 'no certificate' ? {} : await createLinkCertificate();
    const heard: Buffer[] = [];
    let reached = 0;
    let link = '';
    const bad = await hostile(world, server.url, {
      edit: (message) => {
        if (message.type === 'p2p_offer') link = message.link ?? '';
      },
      takeData: (websocket, transport) => {
        const socket = connect({
          ...certificate,
          socket: openLane(websocket, transport, link),
          rejectUnauthorized: false,
          ALPNProtocols: ['underpass/1'],
        });
        readAsRelay(socket, heard);
        // What a subscriber would say first: a yamux stream, a channel, and a request.
        const channel = Buffer.from('01000000000000000000000000010000', 'hex');
        const request = Buffer.concat([channel, Buffer.from([0, 0, 0, 3]), Buffer.from('hey')]);
        const header = Buffer.from('000000010000000100000000', 'hex');
        header.writeUInt32BE(request.length, 8);
        socket.write(Buffer.concat([header, request]));
      },
    });
    const service = await world.service(() => {
      reached += 1;
    });
    const publisher = await world.publish(bad, service.port);
    world.subscriber(server);
    await publisher.event('error', { code: 'peer_certificate' });
    expect(heard).toEqual([]);
    expect(reached).toBe(0);
    expect(publisher.events.map(({ event }) => event)).not.toContain('peer');
  },
);

test('whoever records everything a server sees has neither the traffic nor the secret', async ({ world }) => {
  const marker = 'this-text-crosses-the-tunnel-and-nobody-else-may-read-it';
  const server = await world.server();
  const box = await Middlebox.start(server.port);
  world.onEnd(() => box.close());
  await world.publish(box, (await world.echoService()).port);
  const { port } = await world.subscribe(box);
  expect(await echo(port, marker)).toBe(marker);
  const big = marker.repeat(5000);
  expect(await echo(port, big)).toBe(big);

  const recorded = box.seen;
  const contains = (text: string) => recorded.some((bytes) => bytes.includes(text));
  // The recorder works: it sees what is meant for the server, and as many bytes as there must be.
  expect(contains('"type":"p2p_connect"')).toBe(true);
  expect(recorded.reduce((sum, bytes) => sum + bytes.length, 0)).toBeGreaterThan(4 * big.length);
  for (const hidden of [marker, marker.slice(0, 16), marker.slice(-16), SECRET]) {
    expect(contains(hidden), hidden).toBe(false);
    expect(contains(Buffer.from(hidden).toString('base64url')), hidden).toBe(false);
    expect(contains(Buffer.from(hidden).toString('hex')), hidden).toBe(false);
  }
});
