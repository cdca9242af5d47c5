import { describe, expect, it } from 'vitest';
import {
  type NetworkChange,
  NetworkMonitor,
  type NetworkSnapshot,
  networkSnapshot,
} from '../../src/net/network-monitor.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** A monitor on a machine whose network, clocks and sleep the test decides. */
function watched() {
  const runtime = new VirtualRuntime();
  const machine = { interfaces: 'eth0 192.168.1.2/24', route: '192.168.1.2', slept: 0, taken: 0 };
  const seen = (): NetworkSnapshot => ({
    interfaces: machine.interfaces,
    routes: new Map([['45.80.9.10', machine.route]]),
  });
  const world: { snapshot: () => Promise<NetworkSnapshot> } = { snapshot: async () => seen() };
  const changes: NetworkChange[] = [];
  const monitor = new NetworkMonitor(
    {
      runtime,
      snapshot: () => {
        machine.taken += 1;
        return world.snapshot();
      },
      wallClock: () => 1_700_000_000_000 + runtime.now() + machine.slept,
    },
    (reason) => changes.push(reason),
  );
  /** Lets time pass in small steps, and what was promised happen in between. */
  const pass = async (milliseconds: number) => {
    for (let end = runtime.now() + milliseconds; runtime.now() < end; ) {
      runtime.advance(Math.min(100, end - runtime.now()));
      await new Promise(setImmediate);
    }
  };
  return { runtime, machine, seen, world, changes, monitor, pass };
}

describe('a network monitor', () => {
  it('is silent while nothing changes', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(60_000);
    expect(changes).toEqual([]);
    expect(machine.taken).toBe(12);
    monitor.stop();
  });

  it.each(['interfaces', 'route'] as const)('tells a change of %s, once and settled', async (what) => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(7000);
    machine[what] = 'another';
    await pass(3900);
    expect(changes).toEqual([]);
    await pass(300);
    expect(changes).toEqual([what]);
    await pass(60_000);
    expect(changes).toEqual([what]);
    monitor.stop();
  });

  it('looks at once when it is told to, and waits for the network to settle all the same', async () => {
    const { changes, monitor, machine, pass, runtime } = watched();
    monitor.start();
    await pass(6000);
    machine.interfaces = 'another';
    monitor.doubt();
    await pass(100);
    // It knows already.
    monitor.doubt();
    await pass(1000);
    expect(changes).toEqual(['interfaces']);
    const { taken } = machine;
    await pass(60_000);
    expect(machine.taken).toBe(taken + 12);
    monitor.stop();
    monitor.doubt();
    expect(runtime.pendingTimers).toBe(0);
  });

  it('takes a change in several steps for one', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(4900);
    for (const step of ['', 'eth0 169.254.3.4/16', '', 'eth0 10.0.0.9/24']) {
      Object.assign(machine, { interfaces: step, route: step });
      await pass(900);
    }
    expect(changes).toEqual([]);
    await pass(20_000);
    expect(changes).toEqual(['interfaces']);
    monitor.stop();
  });

  it('does not wait for ever for a network that never settles', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(1000);
    for (let i = 0; i < 200; i++) {
      machine.route = `step ${i}`;
      await pass(200);
    }
    expect(changes.length).toBeGreaterThan(1);
    expect(changes.length).toBeLessThan(5);
    monitor.stop();
  });

  it('notices sleep where the monotonic clock stands still meanwhile', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(7000);
    machine.slept = 60_000;
    await pass(5000);
    expect(changes).toEqual(['sleep']);
    await pass(60_000);
    expect(changes).toEqual(['sleep']);
    monitor.stop();
  });

  it('notices sleep where the monotonic clock goes on', async () => {
    const { changes, monitor, machine, runtime, pass } = watched();
    let asleep = 0;
    const now = runtime.now.bind(runtime);
    runtime.now = () => now() + asleep;
    monitor.start();
    await pass(7000);
    asleep = 60_000;
    // The time of day was put back meanwhile, and tells nothing.
    machine.slept = -asleep;
    await pass(5000);
    expect(changes).toEqual(['sleep']);
    monitor.stop();
  });

  it('takes no notice of a clock that is put back or a little forward', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(7000);
    machine.slept = 8000;
    await pass(20_000);
    machine.slept = -3_600_000;
    await pass(20_000);
    expect(changes).toEqual([]);
    monitor.stop();
  });

  it('tells one thing of waking up in another network', async () => {
    const { changes, monitor, machine, pass } = watched();
    monitor.start();
    await pass(7000);
    Object.assign(machine, { slept: 60_000, interfaces: '', route: '' });
    await pass(3500);
    Object.assign(machine, { interfaces: 'eth0 10.0.0.9/24', route: '10.0.0.9' });
    await pass(20_000);
    expect(changes).toEqual(['sleep']);
    monitor.stop();
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
  ])('outlives a snapshot that %s', async (_, fail: () => Promise<NetworkSnapshot>) => {
    const { changes, monitor, machine, world, pass } = watched();
    const honest = world.snapshot;
    monitor.start();
    await pass(1000);
    world.snapshot = fail;
    await pass(20_000);
    world.snapshot = honest;
    machine.route = 'another';
    await pass(10_000);
    expect(changes).toEqual(['route']);
    monitor.stop();
  });

  it('uses nothing of a snapshot that comes too late', async () => {
    const { changes, monitor, machine, seen, world, runtime, pass } = watched();
    monitor.start();
    await pass(1000);
    machine.route = 'another';
    world.snapshot = () => new Promise((resolve) => runtime.setTimer(3000, () => resolve(seen())));
    await pass(60_000);
    // Each 7 s: an interval and the longest wait.
    expect(machine.taken).toBe(1 + 8);
    expect(changes).toEqual([]);
    monitor.stop();
  });

  it('asks for no more snapshots while one hangs, and still notices sleep', async () => {
    const { changes, monitor, machine, world, pass } = watched();
    monitor.start();
    await pass(1000);
    world.snapshot = () => new Promise(() => {});
    await pass(60_000);
    expect(machine.taken).toBe(2);
    machine.slept = 60_000;
    await pass(10_000);
    expect(changes).toEqual(['sleep']);
    monitor.stop();
  });

  it('compares the ways to destinations that are the same', async () => {
    const { changes, monitor, world, seen, pass } = watched();
    monitor.start();
    await pass(6000);
    world.snapshot = async () => ({ ...seen(), routes: new Map([['45.80.9.11', 'elsewhere']]) });
    await pass(20_000);
    expect(changes).toEqual([]);
    monitor.stop();
  });

  it('leaves no timer behind, also when it is stopped during a snapshot', async () => {
    const { changes, monitor, machine, seen, world, runtime, pass } = watched();
    monitor.start();
    await pass(1000);
    let deliver: (seen: NetworkSnapshot) => void = () => {};
    world.snapshot = () => new Promise((resolve) => (deliver = resolve));
    await pass(4500);
    monitor.stop();
    expect(runtime.pendingTimers).toBe(0);
    machine.route = 'another';
    deliver(seen());
    await pass(20_000);
    monitor.start();
    expect(runtime.pendingTimers).toBe(0);
    expect(changes).toEqual([]);
  });
});

it('a snapshot of this machine is the same twice', async () => {
  const destinations = [
    { address: '127.0.0.1', port: 9 },
    { address: '::1', port: 9 },
  ];
  const first = await networkSnapshot(destinations);
  expect([...first.routes]).toEqual([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
  ]);
  expect(await networkSnapshot(destinations)).toEqual(first);
});
