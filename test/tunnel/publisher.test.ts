import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { createLinkCertificate } from '../../src/certificate.ts';
import { deriveTunnelKey, peerKey, secretHash } from '../../src/identity.ts';
import {
  Client,
  loadServerConfig,
  type PublishedTunnel,
  startServer,
  type TunnelEvent,
} from '../../src/index.ts';
import { silentLogger } from '../../src/log.ts';
import { systemRuntime } from '../../src/net/runtime.ts';
import { pinnedTls } from '../../src/net/tls.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { encodeHeader, Flag, FrameType, GoAway, HEADER_SIZE } from '../../src/relay/frame.ts';
import { createOffer, verifyAnswer } from '../../src/signaling/offer.ts';
import { Connection } from '../../src/tunnel/connection.ts';
import { Store } from '../../src/tunnel/store.ts';
import { Subscriber } from '../../src/tunnel/subscriber.ts';
import { temporaryFolder } from '../support/temporary.ts';

const NAME = 'test';
const SECRET = 'sixteen or more characters';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

it('forgets a friend whose link ends in the moment in which it comes up', async () => {
  const server = await startServer(
    loadServerConfig(undefined, { listen: 'ws://127.0.0.1:0', stunEnabled: false }),
  );
  closers.push(() => server.close());

  const events: TunnelEvent[] = [];
  await until((told) =>
    open(server.listen).publish({ name: NAME, secret: SECRET, localPort: 1 }, (event) => {
      events.push(event);
      told(event.event === 'ready');
    }),
  );
  await vanish(server.listen);
  // Whoever comes next is told of after the one before.
  await until((told) =>
    open(server.listen).subscribe({ target: NAME, secret: SECRET, localPort: 0 }, (event) =>
      told(event.event === 'ready'),
    ),
  );
  const peers = events.flatMap((event) => (event.event === 'peer' ? event.action : []));
  expect(peers).toEqual(['joined']);
});

it('knows everybody by a name that nobody else has, though friends choose the ids of their links', async () => {
  const server = await startServer(
    loadServerConfig(undefined, { listen: 'ws://127.0.0.1:0', stunEnabled: false }),
  );
  closers.push(() => server.close());
  const publishing = open(server.listen);
  const published = await new Promise<PublishedTunnel>((resolve) => {
    const tunnel = publishing.publish(
      { name: NAME, secret: SECRET, localPort: 1 },
      (event) => event.event === 'ready' && resolve(tunnel),
    );
  });
  const alike = {
    ...systemRuntime,
    randomBytes: (size: number) =>
      size === 16 ? systemRuntime.randomBytes(16).fill(7, 0, 6) : randomBytes(size),
  };
  const told: string[] = [];
  for (const last of ['ready', 'peer_refused']) {
    const connection = new Connection(
      { server: server.listen },
      alike,
      silentLogger,
      new Store(temporaryFolder()),
    );
    closers.push(() => connection.close());
    const wanted = { target: NAME, secret: SECRET, localPort: 0, mode: 'relay' as const };
    await until((done) => {
      new Subscriber(connection, wanted, (event) => {
        told.push(event.event === 'error' ? event.code : event.event);
        done(told.at(-1) === last || told.at(-1) === 'ready');
      });
    });
  }
  expect(told).toEqual(['ready', 'path', 'peer_refused']);
  expect(published.peers()).toHaveLength(1);
});

/** Builds a link as a subscriber does, and says goodbye in the same breath as it answers the publisher's first ping. */
async function vanish(server: string): Promise<void> {
  const connection = new Connection({ server }, systemRuntime, silentLogger, new Store(temporaryFolder()));
  closers.push(() => connection.close());
  await until((told) =>
    connection.add({
      publishes: undefined,
      onOnline: () => told(true),
      onOffline: () => {},
      onFatal: () => {},
      onOffer: () => {},
      onReplaced: () => {},
      onNat: () => {},
      mayGoDirect: false,
    }),
  );
  const { signaling, relay, identity } = connection;
  const key = await deriveTunnelKey(SECRET, NAME);
  const link = systemRuntime.randomBytes(16);
  const certificate = await createLinkCertificate();
  const nonce = systemRuntime.randomBytes(32);
  const { fingerprint } = certificate;
  const own = { peerKey: peerKey(key), link, nonce, fingerprint, identity };
  const { offer, mac } = createOffer({ ...own, mode: 'auto', capabilities: [], keyId: 0 });
  const stream = relay.expect(link);
  const reply = await signaling.connect({
    link: link.toString('base64url'),
    name: NAME,
    key_id: 0,
    hash: secretHash(key),
    offer: offer.toString('base64url'),
    mac: mac.toString('base64url'),
    wait: false,
  });
  const [answer, answerMac] = [reply.answer, reply.mac].map((text) => Buffer.from(text, 'base64url'));
  const received = { answer: answer as Buffer, mac: answerMac as Buffer };
  const { fingerprint: peerFingerprint } = verifyAnswer({ ...own, name: NAME, offer, ...received });
  await relay.ready();
  const duplex = new StreamDuplex((await stream.arrival()).bulk);
  const socket = await pinnedTls(duplex, { role: 'client', ...certificate, peerFingerprint, name: NAME });
  await until((told) => {
    socket.on('close', () => told(true));
    socket.on('data', (frame: Buffer) => {
      expect([frame.length, frame[1]]).toEqual([HEADER_SIZE, FrameType.ping]);
      const pong = encodeHeader(FrameType.ping, Flag.ack, 0, frame.readUInt32BE(8));
      socket.end(Buffer.concat([pong, encodeHeader(FrameType.goAway, 0, 0, GoAway.normal)]));
    });
  });
}

function open(server: string): Client {
  const client = new Client({ server, stateDir: temporaryFolder() });
  closers.push(() => client.close());
  return client;
}

/** Starts something and waits until it says true. */
function until(start: (told: (done: boolean) => void) => void): Promise<void> {
  return new Promise((resolve) => start((done) => done && resolve()));
}
