import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { describe, expect } from 'vitest';
import { createServerCertificate, formatFingerprint } from '../../src/certificate.ts';
import { loadQuiche } from '../../src/quic/binding.ts';
import { echo, listenPort, NAME, type Program, test, type World } from '../support/e2e.ts';
import { HostileServer } from '../support/e2e-hostile-server.ts';
import { Middlebox } from '../support/e2e-middlebox.ts';

/** Sends SIGHUP and waits until the server has said what it made of its file. */
async function hangUp(server: Program, says: string): Promise<void> {
  const before = server.stderr.length;
  server.kill('SIGHUP');
  await server.until(() => server.stderr.slice(before).includes(says), says);
}

test('SIGHUP changes the tokens, and nobody is dropped; a file with a mistake changes nothing', async ({
  world,
}) => {
  const server = await world.server({ config: 'auth: { tokens: [first] }' });
  const service = await world.echoService();
  const withToken = (token: string, user: string) => ({ user, args: ['--token', token] });
  const publisher = await world.publish(server, service.port, withToken('first', 'publisher'));
  const subscriber = await world.subscribe(server, withToken('first', 'subscriber'));
  const open = await world.wire(subscriber.port);

  world.file('server.yml', 'auth: { tokens: [second] }');
  await hangUp(server.program, 'read again');
  open.send('still here');
  expect(await open.read(10)).toBe('still here');
  const late = world.subscriber(server, withToken('first', 'late'));
  await late.event('error', { code: 'auth_failed', retry: false });
  const second = await world.subscribe(server, withToken('second', 'second'));
  expect(await echo(second.port)).toBe('ping');

  world.file('server.yml', 'auth: { tokens: [third] }\nlisten_at: nowhere');
  await hangUp(server.program, 'the old one stays');
  expect(server.program.stderr).toContain('server.yml:2: listen_at');
  const third = world.subscriber(server, withToken('third', 'third'));
  await third.event('error', { code: 'auth_failed', retry: false });
  const stillSecond = await world.subscribe(server, withToken('second', 'still-second'));
  expect(await echo(stillSecond.port)).toBe('ping');
  expect(await echo(subscriber.port)).toBe('ping');
  for (const { events } of [publisher, subscriber.program]) {
    expect(events.filter(({ event }) => event === 'error')).toEqual([]);
  }
});

test('SIGHUP changes limits and direct_enabled, for what comes', async ({ world }) => {
  const server = await world.server({ config: '' });
  const heard: unknown[] = [];
  const between = await HostileServer.start(server.url, {
    edit: ({ type, direct }) => {
      if (type === 'p2p_offer') heard.push(direct);
    },
  });
  world.onEnd(() => between.close());
  const service = await world.echoService();
  await world.publish(between, service.port);
  const first = await world.subscribe(server);
  world.file('server.yml', 'p2p: { direct_enabled: false }\nlimits: { sessions: 3 }');
  await hangUp(server.program, 'read again');
  await world.subscribe(server, { user: 'second' });
  expect(heard).toEqual([true, false]);
  const third = world.subscriber(server, { user: 'third', args: ['--no-reconnect'] });
  await third.event('error', { code: 'server_full', retry: false });
  expect(await third.exit()).toBe(4);
  expect(await echo(first.port)).toBe('ping');
});

// Most of their time is waiting.
describe.concurrent('SIGTERM', () => {
  test('lets an open transfer finish, takes nobody new, and ends within 10 s', async ({ world }) => {
    const server = await world.server();
    // Two seconds of a service that has more to say every 200 ms.
    const service = await world.service((socket) => {
      let left = 10;
      const timer = setInterval(() => {
        socket.write('part.');
        if (--left > 0) return;
        clearInterval(timer);
        socket.end();
      }, 200);
    });
    await world.publish(server, service.port);
    const subscriber = await world.subscribe(server);
    const transfer = await world.wire(subscriber.port);
    transfer.end();
    expect(await transfer.read(5)).toBe('part.');

    const from = performance.now();
    server.program.kill('SIGTERM');
    await server.program.event('draining', { seconds: 10 });
    const late = world.subscriber(server, { user: 'late', args: ['--no-reconnect'] });
    await late.event('error', { code: 'server_unreachable', retry: false });
    expect(await transfer.readAll()).toBe('part.'.repeat(9));
    await server.program.event('closed', { role: 'server' });
    expect(await server.program.exit()).toBe(0);
    expect(performance.now() - from).toBeLessThan(11_000);
    await subscriber.program.event('error', { retry: true });
  });

  test('ends at once when there is no link, or the last one goes', async ({ world }) => {
    const server = await world.server();
    await world.publish(server, (await world.echoService()).port);
    const { program } = await world.subscribe(server);
    const from = performance.now();
    server.program.kill('SIGTERM');
    await server.program.event('draining');
    program.kill('SIGINT');
    expect(await program.exit()).toBe(0);
    expect(await server.program.exit()).toBe(0);
    expect(performance.now() - from).toBeLessThan(5000);

    const idle = await world.server();
    expect(await idle.program.stop('SIGTERM')).toBe(0);
  });

  test('a second signal ends it at once, and so does SIGINT', async ({ world }) => {
    const server = await world.server();
    await world.publish(server, (await world.echoService()).port);
    await world.subscribe(server);
    server.program.kill('SIGTERM');
    await server.program.event('draining');
    expect(await server.program.stop('SIGTERM')).toBe(143);
    const other = await world.server();
    expect(await other.program.stop('SIGINT')).toBe(0);
  });
});

const support = await loadQuiche();

/** The sum of a metric over its labels. */
function metric(text: string, name: string, labels = ''): number {
  const lines = text.split('\n').filter((line) => line.split(/[ {]/, 1)[0] === name && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('/metrics, /healthz, and one line of usage for each link', async ({ world }) => {
  const config = 'metrics: { listen: "127.0.0.1:0" }\nlogging: { format: json }\nauth: { tokens: [t1, t2] }';
  const server = await world.server({ config });
  const lines = () =>
    server.program.stderr
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const url = `http://${lines().find(({ msg }) => msg === 'metrics').listen}`;
  const token = ['--token', 't2'];
  await world.publish(server, (await world.echoService()).port, { args: token });
  const subscriber = await world.subscribe(server, { args: ['--token', 't1'] });
  const text = 'x'.repeat(100_000);
  expect(await echo(subscriber.port, text)).toBe(text);
  await world
    .subscriber(server, { secret: 'a-wrong-secret-of-the-tests', user: 'wrong', args: token })
    .exit();

  expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
  expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
  const response = await fetch(`${url}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const metrics = await response.text();
  expect(metric(metrics, 'underpass_sessions')).toBe(2);
  expect(metric(metrics, 'underpass_tunnels')).toBe(1);
  expect(metric(metrics, 'underpass_links')).toBe(1);
  expect(metric(metrics, 'underpass_sessions_by_nat')).toBe(2);
  expect(metric(metrics, 'underpass_stun_answers_total')).toBe(0);
  expect(metric(metrics, 'underpass_errors_total', 'code="invalid_secret"')).toBe(1);
  // Counted once, for the publisher's token, with what TLS and framing add.
  for (const direction of ['up', 'down']) {
    const labels = `direction="${direction}",token="2"`;
    const bytes = metric(metrics, 'underpass_relayed_bytes_total', labels);
    expect(bytes).toBeGreaterThan(text.length);
    expect(bytes).toBeLessThan(1.1 * text.length + 20_000);
  }
  expect(metric(metrics, 'underpass_relayed_bytes_total', 'token="1"')).toBe(0);
  // Anybody can make names; they are no labels.
  expect(metrics).not.toContain(NAME);

  await subscriber.program.stop('SIGINT');
  await server.program.until(() => server.program.stderr.includes('link closed'), 'the usage line');
  const usage = lines().filter(({ msg }) => msg === 'link closed');
  expect(usage).toEqual([expect.objectContaining({ tunnel: NAME, publisher_token: 2 })]);
  for (const field of ['up_bytes', 'down_bytes']) expect(usage[0][field]).toBeGreaterThan(text.length);
  expect(usage[0].seconds).toEqual(expect.any(Number));
});

test.runIf(support.available)('searches for direct paths are counted', async ({ world }) => {
  const config =
    'metrics: { listen: "127.0.0.1:0" }\nlogging: { format: json }\nstun: { addresses: [127.0.0.1], ports: [0, 0] }';
  const server = await world.server({ config, stun: true, args: ['--log-level', 'debug'] });
  const [, listen = ''] = /"listen":"([^"]+)"[^}]*"msg":"metrics"/.exec(server.program.stderr) ?? [];
  const quiet = { args: ['--no-port-mapping'] };
  await world.publish(server, (await world.echoService()).port, quiet);
  const subscriber = await world.subscribe(server, quiet);
  const path = await subscriber.program.event('path', { kind: 'direct' });
  expect(path).toMatchObject({ target: NAME, strategy: 'host', reason: null });
  expect(await echo(subscriber.port)).toBe('ping');
  await server.program.until(() => server.program.stderr.includes('"search over"'), 'the outcome');
  const metrics = await (await fetch(`http://${listen}/metrics`)).text();
  expect(metric(metrics, 'underpass_searches_total', 'outcome="direct",strategy="host"')).toBe(1);
  expect(metric(metrics, 'underpass_searches_total')).toBe(1);
  const time = 'underpass_time_to_direct_client_reported_seconds';
  expect(metric(metrics, `${time}_count`, 'strategy="host"')).toBe(1);
  expect(metric(metrics, `${time}_sum`)).toBeCloseTo(Number(path.elapsed_ms) / 1000, 2);
});

test('a server that allows no direct paths says so, and a direct-only client ends', async ({ world }) => {
  const server = await world.server({ config: 'p2p: { direct_enabled: false }' });
  const publisher = await world.publish(server, (await world.echoService()).port);
  const { program, port } = await world.subscribe(server);
  const reason = support.available ? 'server-off' : 'unsupported';
  await program.event('path', { target: NAME, kind: 'relayed', reason, strategy: null, remote: null });
  await publisher.event('path', { kind: 'relayed', reason });
  expect(await echo(port)).toBe('ping');

  const purist = world.subscriber(server, { user: 'purist', args: ['--mode', 'direct'] });
  const { code, message, retry } = await purist.event('error');
  expect([code, retry]).toEqual(['direct_unavailable', false]);
  expect(message).toContain(`'${NAME}' cannot be reached directly (`);
  expect(message).not.toMatch(/[{}]/);
  expect(await purist.exit()).toBe(4);
});

/** A reverse proxy: TLS outside, `ws://` with X-Forwarded-For behind it. */
async function reverseProxy(world: World, serverPort: number, headers: readonly string[]) {
  const box = await Middlebox.start(serverPort, headers);
  world.onEnd(() => box.close());
  const { cert, key, fingerprint } = await createServerCertificate(['localhost']);
  const proxy = createServer({ cert, key }, (outside) => {
    const inside = connect(Number(new URL(box.url).port), '127.0.0.1');
    for (const socket of [outside, inside]) socket.on('error', () => inside.destroy());
    outside.pipe(inside).pipe(outside);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  world.onEnd(() => proxy.close());
  const { port } = proxy.address() as AddressInfo;
  return {
    access: ['--server', `localhost:${port}`, '--server-fingerprint', formatFingerprint(fingerprint)],
  };
}

test.for([
  ['[127.0.0.0/8]', '198.51.100.7'],
  ['[10.0.0.0/8]', '127.0.0.1'],
] as const)('behind a reverse proxy, with trusted_proxies %s', async ([proxies, address], { world }) => {
  const server = await world.server({ config: `trusted_proxies: ${proxies}` });
  const proxy = await reverseProxy(world, server.port, ['X-Forwarded-For: 203.0.113.66, 198.51.100.7']);
  const publisher = await world.publish(proxy, (await world.echoService()).port);
  const { port } = await world.subscribe(proxy);
  const joined = await publisher.event('peer', { action: 'joined' });
  expect(joined.address).toBe(address);
  expect(await echo(port)).toBe('ping');
});

test('mistakes in the file of a server name file, line and key', async ({ world }) => {
  const cases: [string, string][] = [
    ['listen: 127.0.0.1:0\nlimits:\n  sesions: 3', 'server.yml:3: limits.sesions: there is no such key'],
    ['auth: { tokens: t1 }', 'server.yml:1: auth.tokens: must be a list'],
    ['p2p:\n  direct_enabled: 1', 'server.yml:2: p2p.direct_enabled: must be true or false'],
    ['limits: { links: 1 }\nlimits: { links: 2 }', 'server.yml:2: limits: appears twice'],
  ];
  for (const [text, message] of cases) {
    const program = world.run(['server', '--json', '-c', world.file('server.yml', text)]);
    const error = await program.event('error', { code: 'config_invalid' });
    expect(error.message).toContain(message);
    expect(await program.exit()).toBe(2);
  }
});

test('people see the address and the fingerprint, and can follow what is printed', async ({ world }) => {
  const stun = world.file('server.yml', 'stun: { addresses: [127.0.0.1], ports: [0] }');
  const server = world.run(['server', '--listen', '127.0.0.1:0', '-c', stun], 'operator');
  await server.until(() => /--server-fingerprint \S+/.test(server.stdout), 'how to trust it');
  const address = /127\.0\.0\.1:\d+/.exec(server.stdout)?.[0] ?? '';
  const fingerprint = /--server-fingerprint (\S+)/.exec(server.stdout)?.[1] ?? '';
  const access = ['--server', address, '--server-fingerprint', fingerprint];
  const service = await world.echoService();
  await world.publish({ access }, service.port);
  expect(await echo(await listenPort(world.subscriber({ access })))).toBe('ping');
  expect(server.stdout).toMatch(/STUN on \d+\/udp: open these in the firewall/);
});
