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
import type { TunnelEvent } from '../../../src/index.ts';
import { FakeWorld } from '../../support/cli.ts';

/** A tunnel that is two TCP sockets on this machine, and `lens` between them. */
function pretendTunnel(
  world: FakeWorld,
  lens: (socket: Socket) => NodeJS.ReadableStream = (socket) => socket,
) {
  const folders: string[] = [];
  const secrets: string[] = [];
  let servicePort = 0;
  const createClient: Context['createClient'] = () => {
    const servers: Server[] = [];
    const closed = new Promise<UnderpassError | undefined>(() => {});
    const tunnel = { closed, close: async () => {} };
    return {
      publish: ({ localPort, secret, name }, onEvent: (event: TunnelEvent) => void) => {
        servicePort = localPort;
        secrets.push(secret);
        onEvent({ event: 'ready', role: 'publisher', name });
        return tunnel;
      },
      subscribe: ({ secret, target }, onEvent) => {
        secrets.push(secret);
        const server = createServer((socket) => {
          const service = connect(servicePort, '127.0.0.1');
          for (const end of [socket, service]) end.on('error', () => socket.destroy());
          socket.pipe(service);
          lens(service).pipe(socket);
        });
        servers.push(server);
        server.listen(0, '127.0.0.1', () => {
          const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
          onEvent({ event: 'ready', role: 'subscriber', target, listen });
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
  return { folders, secrets, context: { ...world.context, createClient, startServer } };
}

function perform(context: Context, port?: string) {
  return demo(context, new JsonView(context.stdout, context.now), port, {});
}

test('fetches every file, checks every byte, and leaves nothing behind', async () => {
  const world = new FakeWorld();
  const { context, folders, secrets } = pretendTunnel(world);
  expect(await perform(context)).toBe(0);
  const fetched = world.json.filter(({ event }) => event === 'fetched');
  expect(fetched.map(({ file, bytes, ok }) => [file, bytes, ok])).toEqual([
    ['small.bin', 1024, true],
    ['medium.bin', 1024 ** 2, true],
    ['large.bin', 64 * 1024 ** 2, true],
  ]);
  expect(world.json.at(-1)).toMatchObject({ event: 'verified', files: 3 });
  expect(world.servers).toMatchObject([{ listen: { host: '127.0.0.1', port: 0, secure: true } }]);
  expect(world.servers[0]?.stun).toBeUndefined();
  expect(secrets[0]).toMatch(/^[\w-]{22}$/);
  expect(secrets[1]).toBe(secrets[0]);
  expect(world.calls).toContain('server closed');
  expect(folders.map((folder) => existsSync(folder))).toEqual([false]);
});

test('one wrong bit is noticed', async () => {
  const world = new FakeWorld();
  const flip = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const last = chunk.length - 1;
      chunk[last] = (chunk[last] ?? 0) ^ 1;
      done(null, chunk);
    },
  });
  const { context, folders } = pretendTunnel(world, (socket) => socket.pipe(flip));
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
  const { context } = pretendTunnel(world, cut);
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
  while (world.json.length === 0) await new Promise(setImmediate);
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
  const failing = { closed: Promise.resolve(new UnderpassError('server_untrusted')), close: async () => {} };
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
