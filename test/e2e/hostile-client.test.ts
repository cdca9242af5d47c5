import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echo, type TestServer, World } from '../support/e2e.ts';
import { blurt, frame, RawClient, RawSocket, rawLink } from '../support/e2e-raw-client.ts';
import { Random } from '../support/random.ts';
import { mutate } from '../support/seeds.ts';

// One server for all attacks, with a tunnel of others through it that must not notice.
const LIMITS = [
  'connections_per_ip_per_minute: 1000000',
  'failed_auth_per_ip_per_minute: 1000000',
  'pending_offers: 8',
  'buffered_bytes_per_publisher: 8388608',
];

let world: World;
let server: TestServer;
let port: number;
let names = 0;
/** Ends when the server has given up a link whose clients never answer its pings. */
let silentLink: Promise<number>;

beforeAll(async () => {
  world = new World();
  const config = `limits: { ${LIMITS.join(', ')} }`;
  // A heap this small does not forgive a leak.
  server = await world.server({ config, nodeArgs: ['--max-old-space-size=64'] });
  await world.publish(server, (await world.echoService()).port);
  port = (await world.subscribe(server)).port;
  const { near, far } = await rawLink(server.url, freshName());
  silentLink = Promise.race([near.closed, far.closed]);
  return () => world.close();
});

afterAll(() => {
  expect(server.program.stderr, 'nothing unexpected in the log').not.toMatch(/error|warn/i);
});

const PROTOCOL_ERROR = 4000;
const random = new Random(20260101);
const freshName = () => `hostile-${++names}`;

/** Says hello as a WebSocket client does, by hand. */
const UPGRADE = [
  'GET /_control HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  '\r\n',
].join('\r\n');

/** Sends one message as an authenticated client; the session ends with an error that says so. */
async function offend(message: string | Buffer | object): Promise<void> {
  const client = await RawClient.online(server.url);
  client.send(message);
  expect(await client.said('error')).toMatchObject({ code: 'protocol_error' });
  expect(await client.closed).toBe(PROTOCOL_ERROR);
}

/** Sends something on `/_data` that ends the connection. */
async function offendData(message: string | Buffer): Promise<number> {
  const client = await RawClient.online(server.url);
  const data = await client.openData();
  data.send(message);
  const code = await data.closed;
  client.socket.close(1000);
  return code;
}

const onControl: Record<string, () => Promise<void>> = {
  'random bytes instead of a hello': async () => {
    const client = new RawClient(server.url);
    await client.said('hello');
    client.send(random.bytes(200));
    expect(await client.said('auth_error')).toMatchObject({ code: 'protocol_error' });
    expect(await client.closed).toBe(PROTOCOL_ERROR);
  },
  'a message before auth': async () => {
    const client = new RawClient(server.url);
    await client.said('hello');
    client.send({ type: 'open_data', request_id: 'r' });
    expect(await client.said('auth_error')).toMatchObject({ code: 'protocol_error' });
    expect(await client.closed).toBe(PROTOCOL_ERROR);
  },
  'a signature of another challenge': async () => {
    const [one, two] = [new RawClient(server.url), new RawClient(server.url)];
    one.send(one.auth(await two.said('hello')));
    expect(await one.said('auth_error')).toMatchObject({ code: 'identity_invalid' });
    expect(await one.closed).toBe(4001);
    two.socket.terminate();
  },
  'bytes, text, types and nesting that make no message': async () => {
    await offend(random.bytes(100));
    await offend('');
    await offend('no JSON');
    await offend('[]');
    await offend('null');
    await offend({ type: 'constructor' });
    await offend({ type: 'auth_ok' });
    await offend({ type: '__proto__', __proto__: { type: 'ping' } });
    await offend('{"type":"ping","timestamp":');
    await offend('['.repeat(60_000));
    await offend({ type: 'register', request_id: 'r', name: '../etc', secrets: [] });
    await offend({ type: 'open_data', request_id: 'x'.repeat(65) });
  },
  'an oversized message': async () => {
    const client = await RawClient.online(server.url);
    client.send(`{"type":"ping","timestamp":1,"padding":"${'x'.repeat(70_000)}"}`);
    expect(await client.closed).toBe(1009);
  },
  'mutated messages': async () => {
    const hash = '00'.repeat(32);
    const originals = [
      { type: 'ping', timestamp: 1 },
      { type: 'register', request_id: 'r', name: 'mutated', secrets: [{ key_id: 0, hash }] },
      { type: 'p2p_close', link: 'AAAAAAAAAAAAAAAAAAAAAA', code: 'peer_lost' },
      { type: 'p2p_refuse', link: 'AAAAAAAAAAAAAAAAAAAAAA', code: 'peer_refused' },
    ].map((message) => Buffer.from(JSON.stringify(message)));
    let client = await RawClient.online(server.url);
    for (let round = 0; round < 100; round++) {
      const text = mutate(originals[round % originals.length] as Buffer, random).toString('latin1');
      client.send(text);
      client.send({ type: 'ping', timestamp: round });
      // It was harmless, or the session is over: never silence.
      const alive = await Promise.race([
        client.said('pong').catch(() => false),
        client.closed.then(() => false),
      ]);
      if (alive === false) {
        expect(await client.closed, text).toBe(PROTOCOL_ERROR);
        client = await RawClient.online(server.url);
      }
    }
    client.socket.close(1000);
    await client.closed;
  },
  'waiting for more names than are allowed': async () => {
    const client = await RawClient.online(server.url);
    const name = freshName();
    for (let index = 0; index < 9; index++) {
      const link = random.bytes(16).toString('base64url');
      const mac = Buffer.alloc(32).toString('base64url');
      const fields = { link, name, key_id: 0, hash: '00'.repeat(32), offer: 'AAAA', mac, wait: true };
      client.send({ type: 'p2p_connect', request_id: `c${index}`, ...fields });
    }
    expect(await client.said('error')).toMatchObject({ request_id: 'c8', code: 'too_many_links' });
    client.socket.close(1000);
    await client.closed;
  },
  'a client that asks and never reads': async () => {
    const client = await RawClient.online(server.url);
    client.socket.pause();
    const message = JSON.stringify({ type: 'open_data', request_id: 'x'.repeat(64) });
    while (client.socket.readyState === client.socket.OPEN) {
      for (let index = 0; index < 999; index++) client.send(message);
      await new Promise((resolve) => client.socket.send(message, resolve));
    }
    await undisturbed();
    client.socket.resume();
    expect(await client.closed).toBe(1006);
  },
  'truncated frames, unmasked frames, and what is no HTTP': async () => {
    const texts = [`${UPGRADE}\x81\x04ping`, `${UPGRADE}\xff\xff\xff\xff`, 'GET / HTTP/1.1\r\n\0\r\n\r\n'];
    for (const text of texts) await blurt(server.port, Buffer.from(text, 'latin1'));
    await blurt(server.port, Buffer.concat([Buffer.from([0]), random.bytes(64)]));
    await blurt(server.port, Buffer.from(`${UPGRADE}\x81\xfe\x10\x00abc`, 'latin1'), true);
  },
};

const PING = frame(2, 1, 0, 7);

const onData: Record<string, () => Promise<void>> = {
  'an id that does not exist, and one used twice': async () => {
    await expect(new RawSocket(`${server.url}/_data/${'0'.repeat(32)}`).opened).rejects.toThrow('404');
    await expect(new RawSocket(`${server.url}/_data/x`).opened).rejects.toThrow('404');
    const client = await RawClient.online(server.url);
    const url = await client.dataUrl();
    const first = new RawSocket(url);
    await first.opened;
    await expect(new RawSocket(url).opened).rejects.toThrow('404');
    first.send(PING);
    await first.bytes(12);
    client.socket.close(1000);
    await first.closed;
  },
  text: async () => {
    expect(await offendData('hello')).toBe(1003);
  },
  'an oversized message': async () => {
    expect(await offendData(Buffer.alloc(1024 * 1024 + 1))).toBe(1009);
  },
  'random bytes': async () => {
    for (let round = 0; round < 20; round++) await offendData(random.bytes(12 + random.integer(500)));
  },
  'streams that a client may not open, without end': async () => {
    const syns = Array.from({ length: 50_000 }, (_, index) => frame(1, 1, 2 * (index + 1), 0));
    await offendData(Buffer.concat(syns));
  },
  'data for a stream that was never opened': async () => {
    await offendData(frame(0, 0, 99, 5, Buffer.from('hello')));
  },
  'a header that is cut, and then nothing': async () => {
    const client = await RawClient.online(server.url);
    const data = await client.openData();
    data.send(PING.subarray(0, 7));
    data.socket.terminate();
    client.socket.terminate();
    await Promise.all([data.closed, client.closed]);
  },
  'mutated frames on a stream of its own': async () => {
    for (let round = 0; round < 20; round++) {
      const { publisher, subscriber, near, far } = await rawLink(server.url, freshName());
      const frames = [frame(1, 2, 1, 0), frame(0, 0, 1, 5, Buffer.from('hello')), PING, frame(0, 4, 1, 0)];
      near.send(mutate(Buffer.concat(frames), random));
      for (const socket of [near, far, publisher, subscriber]) socket.socket.close(1000);
      await Promise.all([publisher.closed, subscriber.closed, near.closed, far.closed]);
    }
  },
  'more bytes than the window': async () => {
    const { publisher, subscriber, near } = await rawLink(server.url, freshName());
    const chunk = Buffer.alloc(64 * 1024);
    for (let index = 0; index < 64; index++) near.send(frame(0, 0, 1, chunk.length, chunk));
    await near.closed;
    await publisher.said('p2p_close');
    for (const { socket } of [publisher, subscriber]) socket.close(1000);
  },
  'a peer that never reads, and one that sends all it may': async () => {
    const { publisher, subscriber, near, far } = await rawLink(server.url, freshName());
    far.socket.pause();
    // The initial windows of both streams, and what the server holds between them.
    const chunk = Buffer.alloc(32 * 1024);
    for (let index = 0; index < 8; index++) near.send(frame(0, 0, 1, chunk.length, chunk));
    near.send(PING);
    await near.bytes(12);
    for (let round = 0; round < 200; round++) near.send(PING);
    await undisturbed();
    far.socket.resume();
    for (const { socket } of [near, far, publisher, subscriber]) socket.close(1000);
    await Promise.all([publisher.closed, subscriber.closed]);
  },
  'pings without end, whose answers nobody reads': async () => {
    const client = await RawClient.online(server.url);
    const data = await client.openData();
    data.socket.pause();
    const flood = Buffer.concat(Array.from({ length: 5000 }, () => PING));
    for (let round = 0; round < 40; round++) data.send(flood);
    await undisturbed();
    data.socket.terminate();
    client.socket.close(1000);
    await client.closed;
  },
};

/** The tunnel of others still works, and quickly. */
async function undisturbed(): Promise<void> {
  const from = performance.now();
  expect(await echo(port, 'undisturbed')).toBe('undisturbed');
  expect(performance.now() - from).toBeLessThan(3000);
}

describe('on /_control', () => {
  test.for(Object.entries(onControl))('%s', async ([, attack]) => {
    await attack();
    await undisturbed();
  });
});

describe('on /_data', () => {
  test.for(Object.entries(onData))('%s', async ([, attack]) => {
    await attack();
    await undisturbed();
  });
});

describe('after all that', () => {
  test('clients that never answer are given up', async () => {
    expect(await silentLink).toBe(1000);
  });

  test.skipIf(process.platform !== 'linux')('the server does not grow', async () => {
    const attacks = [...Object.values(onControl), ...Object.values(onData)];
    const resident = () => {
      const [, kilobytes] =
        /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.program.pid}/status`, 'utf8')) ?? [];
      return Number(kilobytes) / 1024;
    };
    const round = async () => {
      for (const attack of attacks) await attack();
      return resident();
    };
    const before = await round();
    const after = [await round(), await round(), await round()];
    // Pages come and go with the collector; a leak of these attacks' megabytes would show in every round.
    expect(Math.min(...after), `from ${before} MiB to ${after.join(', ')}`).toBeLessThan(before + 24);
    await undisturbed();
  });
});
