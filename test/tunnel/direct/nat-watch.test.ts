import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../../src/log.ts';
import type { NatReport } from '../../../src/nat/report.ts';
import { startStunServer } from '../../../src/nat/server.ts';
import { type Runtime, systemRuntime } from '../../../src/net/runtime.ts';
import { UdpSocket } from '../../../src/net/udp-socket.ts';
import { NatWatch } from '../../../src/tunnel/direct/nat-watch.ts';

const closers: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function stunServer() {
  const options = { addresses: ['127.0.0.1', '127.0.0.2'], ports: [0, 0] };
  const server = await startStunServer(options, systemRuntime, silentLogger);
  closers.push(() => server.close());
  const endpoints = server.addresses.flatMap((address) => server.ports.map((port) => ({ address, port })));
  return { server, source: async () => [{ name: `server ${server.ports[0]}`, endpoints }] };
}

function watching(runtime: Runtime = systemRuntime) {
  const reports: NatReport[] = [];
  const changes: number[] = [];
  const watch = new NatWatch({
    runtime,
    log: silentLogger,
    portMapping: true,
    lanAddresses: true,
    onStandpoint: () => {},
    onReport: (report) => reports.push(report),
    onChange: () => changes.push(reports.length),
  });
  closers.push(() => watch.stop());
  return { watch, reports, changes };
}

test('it reports once, and again when something else is to be said', async () => {
  const [one, other] = [await stunServer(), await stunServer()];
  const { watch, reports } = watching();
  expect(watch.report).toBeUndefined();
  watch.watch(one.source);
  await vi.waitFor(() => expect(reports).toHaveLength(1));
  expect(reports[0]).toMatchObject({ local_address: '127.0.0.1', servers: [{ status: 'answered' }] });
  expect(watch.report).toBe(reports[0]);
  const answered = one.server.answered;
  watch.watch(one.source);
  await vi.waitFor(() => expect(one.server.answered).toBeGreaterThan(answered));
  watch.watch(other.source);
  await vi.waitFor(() => expect(reports).toHaveLength(2));
  expect(reports.map((report) => report.servers[0]?.server)).toEqual([
    `server ${one.server.ports[0]}`,
    `server ${other.server.ports[0]}`,
  ]);
});

test('nobody to ask is no reason to say anything, and a source that fails neither', async () => {
  const { watch, reports } = watching();
  watch.watch(async () => []);
  watch.watch(() => Promise.reject(new Error('no names today')));
  const { source } = await stunServer();
  watch.watch(source);
  await vi.waitFor(() => expect(reports).toHaveLength(1));
});

test('nothing is measured or said after its end, which can be asked for twice', async () => {
  const { server, source } = await stunServer();
  const { watch, reports } = watching();
  watch.watch(source);
  await Promise.all([watch.stop(), watch.stop()]);
  watch.watch(source);
  await new Promise((done) => setImmediate(done));
  expect([reports, server.answered]).toEqual([[], 0]);
});

/** A clock that can be put forward, as after a sleep, and timers that ring too soon where they are long. */
function sleeper() {
  let slept = 0;
  const runtime: Runtime = {
    ...systemRuntime,
    now: () => systemRuntime.now() + slept,
    setTimer: (delay, callback) => systemRuntime.setTimer(delay < 500 ? delay : delay / 20, callback),
  };
  return { runtime, sleep: () => (slept += 3_600_000) };
}

test('after the network has changed it stands nowhere until another socket has been measured', async () => {
  const { source } = await stunServer();
  const silent = await UdpSocket.open({ family: 4, host: '127.0.0.1' });
  closers.push(() => silent.close());
  const { runtime, sleep } = sleeper();
  const { watch, reports, changes } = watching(runtime);
  const sources = [source, async () => [{ name: 'silent', endpoints: [silent.local] }]];
  watch.watch(async () => (await sources.shift()?.()) ?? []);
  await vi.waitFor(() => expect(reports).toHaveLength(1));
  const { standpoint: before } = watch;
  const { port } = before?.sockets[4]?.local ?? {};
  expect(before?.candidates).toEqual([{ kind: 'host', address: '127.0.0.1', port }]);
  sleep();
  await vi.waitFor(() => expect(watch.standpoint).toBeUndefined());
  expect(watch.report).toBe(reports[0]);
  // Told at once, and not when the other socket has been measured.
  expect(changes).toEqual([1]);
  await vi.waitFor(() => expect(watch.standpoint).toBeDefined(), 5000);
  expect(watch.standpoint?.measured.verdict.udp_blocked).toBe(true);
  expect(watch.standpoint?.sockets[4]).not.toBe(before?.sockets[4]);
});

test('it stands nowhere after its end', async () => {
  const { source } = await stunServer();
  const { watch } = watching();
  watch.watch(source);
  await vi.waitFor(() => expect(watch.standpoint).toBeDefined());
  await watch.stop();
  expect(watch.standpoint).toBeUndefined();
});
