import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { RouterClient } from '../../../src/nat/port-mapping/router-client.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function client(gateway: string, localAddress = '127.0.0.1') {
  const path = { runtime: systemRuntime, gateway, localAddress, localPort: 41234 };
  const made = new RouterClient(path, () => expect.unreachable());
  cleanups.push(() => made.release());
  return made;
}

async function timed(work: Promise<unknown>): Promise<number> {
  const started = performance.now();
  expect(await work).toBeUndefined();
  return performance.now() - started;
}

describe('asking a router by PCP and NAT-PMP', () => {
  it('takes 250 ms when it is silent', async () => {
    const silent = createSocket('udp4').bind(5351, '127.0.6.1');
    await once(silent, 'listening');
    cleanups.push(() => silent.close());
    const took = await timed(client('127.0.6.1').ask());
    expect(took).toBeGreaterThan(240);
    expect(took).toBeLessThan(500);
  });

  it('takes no time where nobody listens, and can be repeated', async () => {
    const router = client('127.0.6.2');
    expect(await timed(router.ask())).toBeLessThan(200);
    expect(await timed(router.ask())).toBeLessThan(200);
  });

  it('takes no time from an address that is not ours', async () => {
    expect(await timed(client('127.0.6.3', '203.0.113.99').ask())).toBeLessThan(200);
  });

  it('ends with the release', async () => {
    const router = client('127.0.6.4');
    const asked = router.ask();
    expect(await timed(router.release())).toBeLessThan(100);
    expect(await asked).toBeUndefined();
  });
});
