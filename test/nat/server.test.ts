import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import os, { type NetworkInterfaceInfo } from 'node:os';
import stun from 'stun';
import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../src/log.ts';
import { measure } from '../../src/nat/client.ts';
import { startStunServer } from '../../src/nat/server.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { encodeChangeRequest, mappedAddress, otherAddress } from '../../src/nat/stun-address.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { systemRuntime } from '../../src/net/runtime.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import { UdpSocket } from '../../src/net/udp-socket.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
  vi.restoreAllMocks();
});

async function start(addresses?: string[], ports = [0, 0]) {
  const server = await startStunServer({ addresses, ports }, systemRuntime, silentLogger);
  closers.push(() => server.close());
  return server;
}

async function open(): Promise<UdpSocket> {
  const socket = await UdpSocket.open({ family: 4, host: '127.0.0.1' });
  closers.push(() => socket.close());
  return socket;
}

/** The first answer to some bytes, and where it came from. */
async function ask(socket: UdpSocket, to: Endpoint, bytes: Buffer) {
  return new Promise<{ message: ReturnType<typeof decodeStun>; from: Endpoint; size: number }>((resolve) => {
    socket.onPacket('stun', (answer, from) =>
      resolve({ message: decodeStun(answer), from, size: answer.length }),
    );
    socket.send(bytes, to);
  });
}

function request(...attributes: [number, Buffer][]): Buffer {
  return encodeStun({ class: 'request', transactionId: systemRuntime.randomBytes(12), attributes });
}

test('two addresses and two ports answer, name each other, and stand in for each other', async () => {
  const { addresses, ports } = await start(['127.0.0.1', '127.0.0.2']);
  expect(addresses).toEqual(['127.0.0.1', '127.0.0.2']);
  const [port = 0, otherPort = 0] = ports;
  const socket = await open();
  const to = { address: '127.0.0.1', port };
  const other = { address: '127.0.0.2', port: otherPort };
  const plain = await ask(socket, to, request());
  expect(plain.from).toEqual(to);
  expect(plain.message && mappedAddress(plain.message)).toEqual(socket.local);
  expect(plain.message && otherAddress(plain.message)).toEqual(other);
  const change: [number, Buffer] = [
    ATTRIBUTE.changeRequest,
    encodeChangeRequest({ address: true, port: true }),
  ];
  const changed = await ask(socket, to, request(change, [ATTRIBUTE.software, Buffer.alloc(64)]));
  expect(changed.from).toEqual(other);
});

test('a wildcard answers and is not announced', async () => {
  const { addresses, ports } = await start(['0.0.0.0']);
  expect([addresses, ports.length]).toEqual([[], 2]);
  const answer = await ask(await open(), { address: '127.0.0.1', port: ports[1] ?? 0 }, request());
  expect(answer.message && otherAddress(answer.message)).toBeUndefined();
});

/** Makes the system list these as the machine's own. */
function pretendToHave(...addresses: string[]): void {
  const infos = addresses.map((address) => ({ address, family: 'IPv4', cidr: `${address}/8` }));
  vi.spyOn(os, 'networkInterfaces').mockReturnValue({ lo: infos as NetworkInterfaceInfo[] });
}

test('by default each address answers from itself, and none is announced or offers another', async () => {
  pretendToHave('127.0.0.1', '127.0.0.2', '127.0.0.3');
  const { addresses, ports } = await start();
  expect([addresses, ports.length]).toEqual([[], 2]);
  const socket = await open();
  for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
    for (const port of ports) {
      const { message, from } = await ask(socket, { address, port }, request());
      expect(from).toEqual({ address, port });
      expect([...(message?.attributes.keys() ?? [])]).not.toContain(ATTRIBUTE.otherAddress);
    }
  }
  const change = encodeChangeRequest({ address: true, port: true });
  const to = { address: '127.0.0.2', port: ports[0] ?? 0 };
  const refused = await ask(
    socket,
    to,
    request([ATTRIBUTE.changeRequest, change], [ATTRIBUTE.software, Buffer.alloc(64)]),
  );
  expect([refused.message?.class, refused.from]).toEqual(['error', to]);
});

test('an address that went away since it was listed is left out, unless it was asked for or is the last', async () => {
  pretendToHave('192.0.2.77', '127.0.0.1', '192.0.2.78');
  const { ports } = await start();
  expect(ports).toHaveLength(2);
  const answer = await ask(await open(), { address: '127.0.0.1', port: ports[1] ?? 0 }, request());
  expect(answer.message?.class).toBe('success');
  await expect(start(['127.0.0.1', '192.0.2.77'])).rejects.toMatchObject({ code: 'listen_failed' });
  pretendToHave('192.0.2.77', '192.0.2.78');
  await expect(start()).rejects.toMatchObject({ code: 'listen_failed' });
});

test('by default a port that is taken at one address is taken', async () => {
  pretendToHave('127.0.0.1', '127.0.0.2');
  const taken = await UdpSocket.open({ family: 4, host: '127.0.0.2' });
  closers.push(() => taken.close());
  await expect(start(undefined, [taken.local.port])).rejects.toMatchObject({ code: 'port_in_use' });
});

test('other addresses may be announced', async () => {
  const options = { addresses: ['127.0.0.1'], publicAddresses: ['45.80.9.10'], ports: [0] };
  const server = await startStunServer(options, systemRuntime, silentLogger);
  closers.push(() => server.close());
  expect(server.addresses).toEqual(['45.80.9.10']);
});

test('a port that is taken is named, and nothing stays open', async () => {
  const taken = await open();
  const { port } = taken.local;
  const free = await open();
  free.close();
  const starting = startStunServer(
    { addresses: ['127.0.0.1'], ports: [free.local.port, port] },
    systemRuntime,
    silentLogger,
  );
  await expect(starting).rejects.toMatchObject({ code: 'port_in_use' });
  const again = await UdpSocket.open({ family: 4, host: '127.0.0.1', port: free.local.port });
  again.close();
});

test('the stun package, as a client, understands our server', async () => {
  const { ports } = await start(['127.0.0.1']);
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const answer = await stun.request(`stun://127.0.0.1:${ports[0]}`, { socket });
  expect(answer.getXorAddress()).toMatchObject({ address: '127.0.0.1', port: socket.address().port });
  expect(stun.validateFingerprint(answer)).toBe(true);
  socket.close();
});

test('the stun package, as a server, understands our client', async () => {
  const { STUN_BINDING_RESPONSE: kind = 0, STUN_EVENT_BINDING_REQUEST: asked } = stun.constants;
  const server = stun.createServer({ type: 'udp4' });
  const socket = await open();
  const port = await new Promise<number>((resolve) => {
    const raw = createSocket('udp4');
    raw.bind(0, '127.0.0.1', () => {
      const { port } = raw.address();
      raw.close(() => server.listen(port, '127.0.0.1', () => resolve(port)));
    });
  });
  server.on(String(asked), (message: ReturnType<typeof stun.decode>, from: Endpoint) => {
    expect(stun.validateFingerprint(message)).toBe(true);
    const answer = stun.createMessage(kind, message.transactionId);
    answer.addXorAddress(from.address, from.port);
    answer.addSoftware('another');
    answer.addFingerprint();
    server.send(answer, from.port, from.address);
  });
  const answer = await ask(
    socket,
    { address: '127.0.0.1', port },
    request([ATTRIBUTE.software, Buffer.from('ours')]),
  );
  expect(answer.message?.class).toBe('success');
  expect(answer.message && mappedAddress(answer.message)).toEqual(socket.local);
  expect(answer.message?.attributes.get(ATTRIBUTE.software)?.toString()).toBe('another');
  server.close();
});

test('a measurement over real sockets: the server is on this machine, so the NAT is not seen', async () => {
  const { addresses, ports } = await start(['127.0.0.1', '127.0.0.2']);
  const endpoints = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
  const closed = { name: 'closed', endpoints: [{ address: '127.0.0.1', port: await freePort() }] };
  const socket = await UdpSocket.open({ family: 4 });
  closers.push(() => socket.close());
  const { findings, socket: measured } = await measure({
    servers: [{ name: 'ours', endpoints }, closed, { name: 'nobody', endpoints: [] }],
    socket,
    runtime: systemRuntime,
    log: silentLogger,
  });
  expect(measured).toBe(socket);
  expect(findings).toMatchObject({ type: 'unknown', udp_blocked: false, local_address: '127.0.0.1' });
  expect(findings.reflexive).toEqual({ address: '127.0.0.1', port: socket.local.port });
  expect(findings.servers.map(({ status }) => status)).toEqual(['answered', 'refused', 'unreachable']);
});

test('a measurement leaves the socket’s other users alone, and tells early what there is to tell', async () => {
  const { addresses, ports } = await start(['127.0.0.1', '127.0.0.2']);
  const endpoints = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
  const shared = new SharedSocket(await UdpSocket.open({ family: 4 }));
  const [share, others] = [shared.share(), shared.share()];
  closers.push(() => others.close());
  const heard: string[] = [];
  others.onPacket('stun', (bytes) => heard.push(decodeStun(bytes)?.transactionId.toString('hex') ?? ''));
  const transactionIds = [1, 2].map((byte) => Buffer.alloc(12, byte));
  const [first, second] = transactionIds.map((transactionId) =>
    encodeStun({ class: 'request', transactionId }),
  );
  const told: unknown[] = [];
  const { findings, socket } = await measure({
    servers: [{ name: 'ours', endpoints }],
    ...{ socket: share, runtime: systemRuntime, log: silentLogger },
    onEarly: ({ reflexive }, socket) => {
      told.push(reflexive, socket);
      if (first && endpoints[0]) others.send(first, endpoints[0]);
    },
  });
  expect(told).toEqual([findings.reflexive, share]);
  expect(socket).toBe(share);
  socket.close();
  if (second && endpoints[0]) others.send(second, endpoints[0]);
  const ids = transactionIds.map((id) => id.toString('hex'));
  await vi.waitFor(() => expect(heard).toEqual(expect.arrayContaining(ids)));
});

test('a server that is not there refuses, and that is told from a network that blocks', async () => {
  const socket = await UdpSocket.open({ family: 4 });
  closers.push(() => socket.close());
  const endpoints = [{ address: '127.0.0.1', port: await freePort() }];
  const servers = [{ name: 'closed', endpoints }];
  const { findings } = await measure({ servers, socket, runtime: systemRuntime, log: silentLogger });
  expect(findings).toMatchObject({ udp_blocked: false, type: 'unknown', servers: [{ status: 'refused' }] });
  expect(findings.elapsed_ms).toBeLessThan(1000);
});

test('a measurement can be ended early', async () => {
  const socket = await UdpSocket.open({ family: 4 });
  closers.push(() => socket.close());
  const servers = [{ name: 'closed', endpoints: [{ address: '127.0.0.1', port: await freePort() }] }];
  const signal = AbortSignal.timeout(30);
  const { findings } = await measure({ servers, socket, runtime: systemRuntime, log: silentLogger, signal });
  expect(findings.type).toBe('unknown');
});

async function freePort(): Promise<number> {
  const socket = await UdpSocket.open({ family: 4, host: '127.0.0.1' });
  socket.close();
  return socket.local.port;
}
