import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import type { UnderpassError } from '../../../src/errors.ts';
import { formatAddress } from '../../../src/net/address.ts';
import { listenError } from '../../../src/net/listen-error.ts';
import { parsePlan } from '../../../src/tunnel/local/local-plan.ts';
import type { UdpPort } from '../../../src/tunnel/local/local-port.ts';
import { LocalPorts } from '../../../src/tunnel/local/local-ports.ts';
import { parsePorts } from '../../../src/tunnel/local/ports.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

const HOST = '127.0.0.1';
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A UDP port that remembers for which number it was made. */
class Udp implements UdpPort {
  readonly socket: UdpSocket = createSocket('udp4');
  closed = false;

  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.socket.once('error', (error) => reject(listenError(error, host, port)));
      this.socket.bind({ address: host, port, exclusive: true }, () => {
        const { address, port: bound } = this.socket.address();
        resolve(formatAddress(address, bound));
      });
    });
  }

  close(): void {
    if (!this.closed) this.socket.close();
    this.closed = true;
  }
}

function local(spec: string) {
  const runtime = new VirtualRuntime();
  const troubles: UnderpassError[] = [];
  const served: number[] = [];
  const udp: number[] = [];
  const wait = { patience: 0 };
  let changes = 0;
  const ports = new LocalPorts({
    ...{ runtime, host: HOST, name: 'my-game', plan: parsePlan(spec) },
    onConnection: (socket: Socket, number) => {
      served.push(number);
      socket.destroy();
    },
    udp: (number) => {
      udp.push(number);
      return new Udp();
    },
    patience: () => wait.patience,
    onTrouble: (error) => troubles.push(error),
    onChange: () => {
      changes += 1;
    },
  });
  closers.push(() => ports.close());
  const open = () =>
    ports.listening.map(({ port, protocol, listen }) => `${port}/${protocol} ${listen.slice(10)}`);
  const offer = (text: string) => ports.offer(parsePorts(text));
  return { wait, runtime, troubles, served, udp, ports, open, offer, changes: () => changes };
}

/** A place where some ports in a row are free, over both transports. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    if (port + count > 65535) continue;
    const taken = await Promise.allSettled(
      Array.from({ length: count }, async (_, i) => {
        const [tcp, udp] = [createServer(), new Udp()];
        tcp.listen(port + i, HOST);
        await once(tcp, 'listening');
        tcp.close();
        await once(tcp, 'close');
        await udp.listen(HOST, port + i);
        udp.close();
      }),
    );
    if (taken.every(({ status }) => status === 'fulfilled')) return port;
  }
}

async function occupy(port: number): Promise<() => Promise<unknown>> {
  const server = createServer().listen(port, HOST);
  await once(server, 'listening');
  const free = () => {
    server.close();
    return once(server, 'close');
  };
  closers.push(() => server.close());
  return free;
}

async function dial(port: number): Promise<void> {
  const socket = connect(port, HOST);
  socket.on('error', () => socket.destroy());
  await new Promise((resolve) => socket.on('close', resolve));
}

test('a port is opened at once, held until there is a link, and serves the first offered port', async () => {
  const at = await freePorts(1);
  const { ports, open, offer, served } = local(`${at}`);
  await ports.start();
  expect(open()).toEqual([]);
  const early = dial(at);
  await offer('27015');
  expect(open()).toEqual([`27015/tcp ${at}`]);
  ports.open();
  await early;
  await dial(at);
  expect(served).toEqual([0, 0]);
});

test('whoever comes while there is no path waits for 10 s, or for as long as the link does', async () => {
  for (const [patience, waits] of [
    [0, 10_000],
    [60_000, 60_000],
  ] as const) {
    const at = await freePorts(1);
    const { ports, runtime, wait, served } = local(`${at}`);
    wait.patience = patience;
    await ports.start();
    const socket = connect(at, HOST);
    const end = new Promise((resolve) => socket.on('error', resolve));
    await vi.waitFor(() => expect(runtime.pendingTimers).toBe(1));
    runtime.advance(waits - 1);
    expect(runtime.pendingTimers).toBe(1);
    runtime.advance(1);
    expect(await end).toMatchObject({ code: 'ECONNRESET' });
    expect(served).toEqual([]);
  }
});

test('a port that is taken is told at once, over TCP and UDP', async () => {
  const at = await freePorts(1);
  const free = await occupy(at);
  await expect(local(`${at}`).ports.start()).rejects.toMatchObject({ code: 'port_in_use' });
  await free();
  const udp = new Udp();
  await udp.listen(HOST, at);
  closers.push(() => udp.close());
  await expect(local(`${at}/udp`).ports.start()).rejects.toMatchObject({ code: 'port_in_use' });
  await local(`${at}`).ports.start();
});

test('what is not offered over TCP is closed, and what is, is opened at its distance', async () => {
  const at = await freePorts(4);
  const { ports, open, offer, served, udp } = local(`${at}`);
  await ports.start();
  await offer('27015/udp, 27016/tcp+udp, 27018');
  expect(open()).toEqual([
    `27015/udp ${at}`,
    `27016/tcp ${at + 1}`,
    `27016/udp ${at + 1}`,
    `27018/tcp ${at + 3}`,
  ]);
  expect(udp).toEqual([0, 1]);
  ports.open();
  for (const port of [at + 3, at + 1, at]) await dial(port);
  expect(served).toEqual([2, 1]);
});

test('a later offer keeps what is still there under its new number, and closes the rest', async () => {
  const at = await freePorts(3);
  const { ports, open, offer, served, udp, troubles } = local('same');
  await ports.start();
  await offer(`${at}/tcp+udp, ${at + 1}/tcp+udp`);
  await offer(`${at + 2}, ${at + 1}/tcp+udp`);
  expect(open()).toEqual([`${at + 2}/tcp ${at + 2}`, `${at + 1}/tcp ${at + 1}`, `${at + 1}/udp ${at + 1}`]);
  // The same number over UDP, so that nothing was opened again.
  expect(udp).toEqual([0, 1]);
  ports.open();
  for (const port of [at, at + 1, at + 2]) await dial(port);
  expect([served, troubles]).toEqual([[1, 0], []]);
  await offer(`${at + 1}/udp`);
  expect([open(), udp]).toEqual([[`${at + 1}/udp ${at + 1}`], [0, 1, 0]]);
});

test('any port will do, and both transports of one get the same where that is free', async () => {
  const { ports, open, offer } = local('0');
  await ports.start();
  await offer('27015/tcp+udp, 27016/udp');
  const [tcp, udp, other] = open().map((line) => Number(line.split(' ')[1]));
  expect(tcp).toBeGreaterThan(0);
  expect([udp, other === tcp]).toEqual([tcp, false]);
});

test('what the first offer lacks, or cannot be opened for it, is an error', async () => {
  await expect(local('0/udp').offer('80')).rejects.toMatchObject({ code: 'ports_mismatch' });
  const at = await freePorts(1);
  await occupy(at);
  await expect(local('same').offer(`${at}`)).rejects.toMatchObject({ code: 'port_in_use' });
});

test('for a later one it is tried again, within bounds, and told when it works', async () => {
  const at = await freePorts(2);
  const { runtime, open, offer, troubles, changes } = local('same');
  await offer(`${at}`);
  const free = await occupy(at + 1);
  await offer(`${at},${at + 1}`);
  expect(open()).toEqual([`${at}/tcp ${at}`]);
  expect(troubles.map(({ code }) => code)).toEqual(['port_in_use']);
  for (let tries = 1; tries < 10; tries++) {
    await vi.waitFor(() => expect([troubles.length, runtime.pendingTimers]).toEqual([tries, 1]));
    runtime.advance(60_000);
  }
  await vi.waitFor(() => expect([troubles.length, runtime.pendingTimers]).toEqual([10, 0]));
  expect(changes()).toBe(0);
  await offer(`${at},${at + 1}`);
  expect(troubles).toHaveLength(11);
  await free();
  runtime.advance(1000);
  await vi.waitFor(() => expect(changes()).toBe(1));
  expect(open()).toEqual([`${at}/tcp ${at}`, `${at + 1}/tcp ${at + 1}`]);
});

test('a later offer that does not fit closes all, and the next may fit again', async () => {
  const at = await freePorts(1);
  const { open, offer, troubles } = local(`${at}`);
  await offer('80');
  await offer('60000, 1');
  expect([open(), troubles.map(({ code }) => code)]).toEqual([[], ['ports_mismatch']]);
  await offer('81');
  expect(open()).toEqual([`81/tcp ${at}`]);
});

test('closing leaves nothing open, nor what is being opened, and no timer', async () => {
  const at = await freePorts(2);
  const { runtime, ports, open, offer, troubles } = local('same');
  const offered = offer(`${at}-${at + 1}/tcp+udp`);
  ports.close();
  await offered;
  expect([open(), troubles, runtime.pendingTimers]).toEqual([[], [], 0]);
  const again = local('same');
  await again.offer(`${at}-${at + 1}/tcp+udp`);
  expect(again.open()).toHaveLength(4);
});
