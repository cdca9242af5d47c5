import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { RouterClient } from '../../../src/nat/port-mapping/router-client.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { loopbackAddress } from './loopback.ts';

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
    const address = loopbackAddress();
    const silent = createSocket('udp4').bind(5351, address);
    await once(silent, 'listening');
    cleanups.push(() => silent.close());
    const took = await timed(client(address).ask());
    expect(took).toBeGreaterThan(240);
    expect(took).toBeLessThan(500);
  });

  it('takes no time where nobody listens, and can be repeated', async () => {
    const address = loopbackAddress();
    const router = client(address);
    expect(await timed(router.ask())).toBeLessThan(200);
    expect(await timed(router.ask())).toBeLessThan(200);
  });

  it('takes no time from an address that is not ours', async () => {
    const address = loopbackAddress();
    expect(await timed(client(address, '45.80.1.99').ask())).toBeLessThan(200);
  });

  it('ends with the release', async () => {
    const address = loopbackAddress();
    const router = client(address);
    const asked = router.ask();
    expect(await timed(router.release())).toBeLessThan(100);
    expect(await asked).toBeUndefined();
  });
});
