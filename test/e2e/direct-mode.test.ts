import { expect, vi } from 'vitest';
import { echo, type Program } from '../support/e2e.ts';
import {
  counter,
  goDirect,
  NO_ROUTER,
  pathsOf,
  publishDirect,
  STUN,
  subscribeDirect,
  test,
} from '../support/e2e-direct.ts';
import { mebibytes, transfer } from '../support/e2e-transfer.ts';

const SERVER_OFF = { ...STUN, config: `${STUN.config}\np2p: { direct_enabled: false }` };

/** What is said of the path of a link that never leaves the relay. */
async function staysRelayed(program: Program): Promise<unknown> {
  const { kind, strategy, remote, elapsed_ms, reason } = await program.event('path');
  expect({ kind, strategy, remote, elapsed_ms }).toEqual({
    kind: 'relayed',
    strategy: null,
    remote: null,
    elapsed_ms: null,
  });
  return reason;
}

test.for([
  ['subscriber', [], ['--mode', 'relay'], 'peer-off', 'off'],
  ['publisher', ['--mode', 'relay'], [], 'off', 'peer-off'],
] as const)(
  'mode relay, asked for by the %s: relayed, and both say why',
  async ([, publishes, subscribes, there, here], { world }) => {
    const server = await world.server(STUN);
    const publisher = await publishDirect(world, server, (await world.echoService()).port, publishes);
    const { program, port } = await subscribeDirect(world, server, subscribes);
    expect(await staysRelayed(program)).toBe(here);
    expect(await staysRelayed(publisher)).toBe(there);
    expect(await echo(port)).toBe('ping');
    expect(await counter(server, 'relayed_bytes_total')).toBeGreaterThan(0);
    expect(await counter(server, 'searches_total')).toBe(0);
    expect([pathsOf(program), pathsOf(publisher)]).toEqual([[`relayed ${here}`], [`relayed ${there}`]]);
  },
);

test('direct_enabled: false keeps everybody relayed, and both sides say so', async ({ world }) => {
  const server = await world.server(SERVER_OFF);
  const publisher = await publishDirect(world, server, (await world.echoService()).port);
  const { program, port } = await subscribeDirect(world, server);
  expect(await staysRelayed(program)).toBe('server-off');
  expect(await staysRelayed(publisher)).toBe('server-off');
  expect(await echo(port)).toBe('ping');
  expect(await counter(server, 'searches_total')).toBe(0);
});

test('mode direct: no byte of an application passes through the server', async ({ world }) => {
  const { service, run } = await transfer(world, mebibytes(8));
  const server = await world.server(STUN);
  const at = { publisher: server, subscriber: server };
  const { publisher, subscriber } = await goDirect(world, at, service.port, ['--mode', 'direct']);
  const { sent, received } = await run(subscriber.port);
  expect(received).toEqual(sent);
  // Nobody ever said that it was relayed.
  for (const program of [publisher, subscriber.program]) expect(pathsOf(program)).toEqual(['direct host']);
  // Two TLS handshakes' worth.
  expect(await counter(server, 'relayed_bytes_total')).toBeLessThan(8192);
  // Clients report every 20 s what has come to them.
  await vi.waitFor(async () => {
    const claimed = await counter(server, 'direct_bytes_client_reported_total');
    expect(claimed).toBeGreaterThan(16 * 2 ** 20);
  }, 30_000);
});

test.for([
  ['the server allows none', SERVER_OFF, [], 'the server keeps everybody relayed'],
  ['the publisher wants none', STUN, ['--mode', 'relay'], 'the other side has asked for mode relay'],
] as const)(
  'mode direct, but %s: it fails by name, and nothing is relayed',
  async ([, options, publishes, why], { world }) => {
    let reached = 0;
    const service = await world.service(() => {
      reached += 1;
    });
    const server = await world.server(options);
    const publisher = await publishDirect(world, server, service.port, publishes);
    const subscriber = world.subscriber(server, { args: [...NO_ROUTER, '--mode', 'direct'] });
    const error = await subscriber.event('error', { code: 'direct_unavailable', retry: false });
    expect(error.message).toBe(`'my-game' cannot be reached directly (${why})`);
    expect(error.hint).toContain("mode 'auto'");
    expect(await subscriber.exit()).toBe(4);
    expect([pathsOf(subscriber), pathsOf(publisher), reached]).toEqual([[], [], 0]);
  },
);
