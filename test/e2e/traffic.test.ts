import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, get, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { echo, freePort, test, type World } from '../support/e2e.ts';

const MIB = 1024 * 1024;
const BODY = 256 * MIB;

/** A tunnel from a subscriber's port to a service. */
async function tunnel(world: World, scheme: 'ws' | 'wss', service: number): Promise<number> {
  const server = await world.server({ scheme });
  await world.publish(server, service);
  return (await world.subscribe(server)).port;
}

/** A body in which every MiB is another one, and the digest of the whole. */
function makeBody(): { stream: () => Readable; sha256: string } {
  const block = randomBytes(MIB);
  const nth = (index: number) => {
    const copy = Buffer.from(block);
    copy.writeUInt32BE(index);
    return copy;
  };
  const blocks = function* () {
    for (let index = 0; index < BODY / MIB; index++) yield nth(index);
  };
  const hash = createHash('sha256');
  for (const each of blocks()) hash.update(each);
  return { stream: () => Readable.from(blocks()), sha256: hash.digest('hex') };
}

async function digest(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

describe.each(['ws', 'wss'] as const)('over %s://', (scheme) => {
  test('an HTTP server, and 256 MiB in both directions, byte for byte', async ({ world }) => {
    const body = makeBody();
    const http = createServer(async (incoming, response) => {
      if (incoming.url === '/hello') response.end('hello, world');
      else if (incoming.method === 'PUT') response.end(await digest(incoming));
      else body.stream().pipe(response);
    });
    await once(http.listen(0, '127.0.0.1'), 'listening');
    world.onEnd(() => http.closeAllConnections());
    world.onEnd(() => http.close());
    const port = await tunnel(world, scheme, (http.address() as AddressInfo).port);

    expect(await (await fetch(`http://127.0.0.1:${port}/hello`)).text()).toBe('hello, world');

    const up = new Promise<string>((resolve, reject) => {
      const put = request(
        { port, host: '127.0.0.1', method: 'PUT', path: '/', agent: false },
        async (reply) => {
          const chunks = await reply.toArray();
          resolve(String(Buffer.concat(chunks)));
        },
      );
      put.on('error', reject);
      body.stream().pipe(put);
    });
    const down = new Promise<string>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/', agent: false }, (reply) => resolve(digest(reply))).on(
        'error',
        reject,
      );
    });
    expect(await Promise.all([up, down])).toEqual([body.sha256, body.sha256]);
  });

  test('half-closed streams, both ways', async ({ world }) => {
    const service = await world.counterpart();
    const port = await tunnel(world, scheme, service.port);

    // The client ends first, and still receives.
    const first = await world.wire(port);
    first.end('question');
    const answering = await service.accept();
    expect(await answering.readAll()).toBe('question');
    answering.send('an answer, ');
    expect(await first.read(11)).toBe('an answer, ');
    answering.end('and more');
    expect(await first.readAll()).toBe('and more');
    expect(await first.closed).toBe('ended');
    expect(await answering.closed).toBe('ended');

    // The service ends first, and still receives.
    const second = await world.wire(port);
    second.send('hello');
    const greeting = await service.accept();
    expect(await greeting.read(5)).toBe('hello');
    greeting.end('that is all');
    expect(await second.readAll()).toBe('that is all');
    second.send('I go on, ');
    expect(await greeting.read(9)).toBe('I go on, ');
    second.end('and end');
    expect(await greeting.readAll()).toBe('and end');
    expect(await second.closed).toBe('ended');
    expect(await greeting.closed).toBe('ended');
  });

  test('1,000 connections at once through one tunnel, all served', async ({ world }) => {
    let open = 0;
    let most = 0;
    let everybody = () => {};
    const allHere = new Promise<void>((resolve) => {
      everybody = resolve;
    });
    // Nobody is answered before everybody is there.
    const service = await world.service((socket) => {
      most = Math.max(most, ++open);
      socket.once('close', () => open--);
      if (most === 1000) everybody();
      void allHere.then(() => socket.pipe(socket));
    });
    const port = await tunnel(world, scheme, service.port);
    const texts = Array.from({ length: 1000 }, (_, index) => `connection ${index}`);
    expect(await Promise.all(texts.map((text) => echo(port, text)))).toEqual(texts);
    expect(most).toBe(1000);
  });
});

const redis = ['/usr/bin/redis-server', '/usr/bin/redis-benchmark'];

test.skipIf(!redis.every((path) => existsSync(path)))('Redis, under redis-benchmark', async ({ world }) => {
  const [server = '', benchmark = ''] = redis;
  const redisPort = await freePort();
  const args = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn(server, args, { cwd: world.home('redis'), stdio: ['ignore', 'pipe', 'inherit'] });
  world.onEnd(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('redis-server ended')));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('Ready to accept connections')) resolve();
    });
  });
  const port = await tunnel(world, 'wss', redisPort);
  const load = [
    '-t',
    'ping_mbulk,set,get,lrange_100',
    '-n',
    '5000',
    '-c',
    '50',
    '-P',
    '4',
    '-d',
    '512',
    '--csv',
  ];
  const { stdout } = await promisify(execFile)(benchmark, ['-h', '127.0.0.1', '-p', String(port), ...load]);
  const results = stdout.trim().split('\n').slice(1);
  expect(results.map((line) => line.split(',')[0])).toEqual(
    expect.arrayContaining(['"PING_MBULK"', '"SET"', '"GET"']),
  );
  for (const line of results)
    expect(Number(line.split(',')[1]?.replaceAll('"', '')), line).toBeGreaterThan(0);
});
