import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { demo } from '../../../src/cli/commands/demo.ts';
import type { Context } from '../../../src/cli/context.ts';
import { createFiles } from '../../../src/cli/demo/files.ts';
import { JsonView } from '../../../src/cli/views/json.ts';
import { UnderpassError } from '../../../src/errors.ts';
import type { ClientOptions, TunnelEvent } from '../../../src/index.ts';
import { FakeWorld } from '../../support/cli.ts';

type PathEvent = Extract<TunnelEvent, { event: 'path' }>;

const nowhere = { strategy: null, remote: null, rtt_ms: null, elapsed_ms: null } as const;
const relayed = (reason: string): PathEvent => ({
  event: 'path',
  target: 'demo',
  kind: 'relayed',
  ...nowhere,
  reason,
});
const direct: PathEvent = {
  event: 'path',
  target: 'demo',
  kind: 'direct',
  strategy: 'host',
  remote: '127.0.0.1:41000',
  rtt_ms: null,
  elapsed_ms: 40,
  reason: null,
};

interface Pretence {
  /** Between the two sockets. */
  readonly lens?: (socket: Socket) => NodeJS.ReadableStream;
  /** What the subscriber that may go direct says of its path at first, and while the connection of that number is there. */
  readonly paths?: Readonly<Record<number, PathEvent>>;
}

/** A tunnel that is two TCP sockets on this machine. */
function pretendTunnel(
  world: FakeWorld,
  { lens = (socket) => socket, paths = { 0: relayed('unsupported') } }: Pretence = {},
) {
  const clients: ClientOptions[] = [];
  const folders: string[] = [];
  const secrets: string[] = [];
  let servicePort = 0;
  let turn: (path: PathEvent) => void = () => {};
  const createClient: Context['createClient'] = (options) => {
    clients.push(options);
    const servers: Server[] = [];
    const closed = new Promise<UnderpassError | undefined>(() => {});
    const tunnel = { closed, close: async () => {}, peers: () => [], closePeer: () => false };
    return {
      publish: ({ localPort = 0, secret, name }, onEvent: (event: TunnelEvent) => void) => {
        servicePort = localPort;
        secrets.push(secret);
        onEvent({ event: 'ready', role: 'publisher', name });
        return tunnel;
      },
      subscribe: ({ secret, target, mode }, onEvent) => {
        let accepted = 0;
        if (mode === 'auto') turn = onEvent;
        const told = mode === 'relay' ? { 0: relayed('off') } : paths;
        const tell = (path?: PathEvent) => path && onEvent(path);
        secrets.push(secret);
        const server = createServer((socket) => {
          const service = connect(servicePort, '127.0.0.1');
          for (const end of [socket, service]) end.on('error', () => socket.destroy());
          socket.pipe(service);
          lens(service).pipe(socket);
          tell(told[++accepted]);
        });
        servers.push(server);
        server.listen(0, '127.0.0.1', () => {
          const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
          onEvent({ event: 'ready', role: 'subscriber', target, listen });
          tell(told[0]);
        });
        return tunnel;
      },
      close: async () => {
        for (const server of servers) server.close();
      },
    };
  };
  const startServer: Context['startServer'] = async (config, options) => {
    const folder = options?.stateDir ?? '';
    folders.push(dirname(folder));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'key.pem'), '');
    return world.context.startServer(config, options);
  };
  return {
    turn: (path: PathEvent) => turn(path),
    clients,
    folders,
    secrets,
    context: { ...world.context, createClient, startServer },
  };
}

function perform(context: Context, port?: string) {
  return demo(context, new JsonView(context.stdout, context.now), port, {});
}

const FILES = [
  ['small.bin', 1024, true],
  ['medium.bin', 1024 ** 2, true],
  ['large.bin', 64 * 1024 ** 2, true],
];

test('fetches every file relayed, then directly, checks every byte, and leaves nothing behind', async () => {
  const world = new FakeWorld();
  const { context, clients, folders, secrets, turn } = pretendTunnel(world, {
    paths: { 0: relayed('searching') },
  });
  const code = perform(context);
  // Until then it waits, though everything was fetched once.
  while (world.json.length < 5) await new Promise(setImmediate);
  turn(direct);
  expect(await code).toBe(0);
  const fetched = world.json.filter(({ event }) => event === 'fetched');
  expect(fetched.map(({ path }) => path)).toEqual([...Array(3).fill('relayed'), ...Array(3).fill('direct')]);
  expect(fetched.map(({ file, bytes, ok }) => [file, bytes, ok])).toEqual([...FILES, ...FILES]);
  const told = world.json.filter(({ event }) => event === 'path');
  expect(told).toMatchObject([
    { ...relayed('off'), rtt_ms: expect.any(Number) },
    { ...direct, rtt_ms: expect.any(Number) },
  ]);
  expect(world.json.findIndex(({ kind }) => kind === 'direct')).toBe(5);
  const bytes = fetched.reduce((sum, event) => sum + Number(event.bytes), 0);
  const verified = { event: 'verified', files: 3, bytes, paths: ['relayed', 'direct'], reason: null };
  expect(world.json.at(-1)).toMatchObject(verified);
  expect(secrets[0]).toMatch(/^[\w-]{22}$/);
  expect(new Set(secrets).size).toBe(1);
  expect(world.calls).toContain('server closed');
  expect(folders.map((folder) => existsSync(folder))).toEqual([false]);
  // Nothing leaves the machine.
  expect(world.servers).toMatchObject([
    {
      listen: { host: '127.0.0.1', port: 0, secure: true },
      stun: { addresses: ['127.0.0.1'], ports: [0, 0], required: false },
    },
  ]);
  expect(clients.map(({ portMapping }) => portMapping)).toEqual([false, false]);
});

test('a direct path that dies meanwhile is told, and the rest is relayed', async () => {
  const world = new FakeWorld();
  // One connection times the path, and each file has its own.
  const { context } = pretendTunnel(world, { paths: { 0: direct, 2: relayed('lost') } });
  expect(await perform(context)).toBe(0);
  const told = world.json.map(({ event, kind, path }) => [event, kind ?? path]);
  expect(told.slice(5)).toEqual([
    ['path', 'direct'],
    ['fetched', 'direct'],
    ['path', 'relayed'],
    ['fetched', 'relayed'],
    ['fetched', 'relayed'],
    ['verified', undefined],
  ]);
});

test('where nothing can be direct, it says why and is content', async () => {
  const world = new FakeWorld();
  const { context } = pretendTunnel(world);
  expect(await perform(context)).toBe(0);
  const fetched = world.json.filter(({ event }) => event === 'fetched');
  expect(fetched.map(({ file, bytes, ok }) => [file, bytes, ok])).toEqual(FILES);
  expect(world.json.at(-1)).toMatchObject({ event: 'verified', paths: ['relayed'], reason: 'unsupported' });
});

test('one wrong bit is noticed', async () => {
  const world = new FakeWorld();
  const flip = () =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        const last = chunk.length - 1;
        // Only of a file: what has none has nothing but headers.
        if (last > 1000) chunk[last] = (chunk[last] ?? 0) ^ 1;
        done(null, chunk);
      },
    });
  const { context, folders } = pretendTunnel(world, { lens: (socket) => socket.pipe(flip()) });
  await expect(perform(context)).rejects.toThrow('small.bin arrived with other bytes');
  expect(world.json.at(-1)).toMatchObject({ event: 'fetched', ok: false });
  expect(folders.map((folder) => existsSync(folder))).toEqual([false]);
});

test('a connection that is cut in the middle is an error, not a hang', async () => {
  const world = new FakeWorld();
  let left = 500_000;
  const cut = (socket: Socket) => {
    socket.on('data', (chunk) => {
      left -= chunk.length;
      if (left < 0) socket.destroy(new Error('cut'));
    });
    return socket;
  };
  const { context } = pretendTunnel(world, { lens: cut });
  await expect(perform(context)).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
});

test('around a service of the user it stays until it is told to stop', async () => {
  const world = new FakeWorld();
  const service = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  onTestFinished(() => void service.close());
  await new Promise((resolve) => service.once('listening', resolve));
  const { context } = pretendTunnel(world);
  const { port } = service.address() as AddressInfo;
  const code = perform(context, String(port));
  while (world.json.length < 2) await new Promise(setImmediate);
  expect(world.json[1]).toMatchObject(relayed('unsupported'));
  const { listen, service: named } = world.json[0] ?? {};
  expect(named).toBe(`localhost:${port}`);
  const client = connect(Number(String(listen).split(':')[1]), '127.0.0.1');
  let received = '';
  for await (const chunk of client) received += chunk;
  expect(received).toBe('hello');
  world.stop('SIGINT');
  expect(await code).toBe(0);
});

test('a tunnel that cannot be built ends the demo with its error', async () => {
  const world = new FakeWorld();
  const { context, folders } = pretendTunnel(world);
  const failing = {
    closed: Promise.resolve(new UnderpassError('server_untrusted')),
    close: async () => {},
    peers: () => [],
    closePeer: () => false,
  };
  const createClient = () => ({ publish: () => failing, subscribe: () => failing, close: async () => {} });
  await expect(perform({ ...context, createClient })).rejects.toMatchObject({
    code: 'server_untrusted',
  });
  expect(folders.map((folder) => existsSync(folder))).toEqual([false]);
  await expect(perform(context, 'x')).rejects.toMatchObject({ code: 'port_invalid' });
});

test('the files are random, and hash to what they say', () => {
  const [first, second] = [createFiles({ a: 64 }), createFiles({ a: 64 })];
  expect(first[0]?.content).toHaveLength(64);
  expect(first[0]?.sha256).not.toBe(second[0]?.sha256);
});
