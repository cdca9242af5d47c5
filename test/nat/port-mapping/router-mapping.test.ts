import { describe, expect, it } from 'vitest';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';
import { GATEWAY, NONCE, PORT, RouterWorld, world } from './router-world.ts';
import { NAT_PMP_RESULT, natPmpError, natPmpMapped, PCP_RESULT, pcpAnswer } from './virtual-router.ts';

const MINUTE = 60_000;
const isPcp = (bytes: Buffer) => bytes[0] === 2;
const asksNatPmp = (bytes: Buffer) => bytes[0] === 0 && bytes[1] === 1;

describe('asking for a mapping', () => {
  it('prefers PCP, and asks a router that speaks both for one mapping only', () => {
    const w = world();
    w.start();
    w.advance(300);
    expect(w.events).toEqual([`pcp 45.80.1.7:${PORT}`]);
    expect(w.sent.some(({ bytes }) => asksNatPmp(bytes))).toBe(false);
    expect(w.router.table.size).toBe(1);
  });

  it('uses NAT-PMP as soon as the router says that it knows no PCP', () => {
    const w = world(({ router }) => (router.speaks.pcp = false));
    w.start();
    w.advance(10);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
  });

  it('uses NAT-PMP where PCP is dropped, after a second packet', () => {
    const w = world((w) => (w.copies = (bytes) => (isPcp(bytes) ? 0 : 1)));
    w.start();
    w.advance(79);
    expect(w.events).toEqual([]);
    w.advance(171);
    expect(w.last).toBe(`nat-pmp 45.80.1.7:${PORT}`);
  });

  it('gives up after 250 ms of silence, with three packets of each', () => {
    const w = world((w) => (w.copies = () => 0));
    w.start();
    w.advance(249);
    expect(w.events).toEqual([]);
    w.advance(1);
    expect(w.events).toEqual(['unmapped']);
    expect(w.sent.map(({ at }) => at)).toEqual([0, 0, 80, 80, 160, 160]);
    w.advance(10 * MINUTE);
    expect(w.sent).toHaveLength(6);
    expect(w.runtime.pendingTimers).toBe(0);
  });

  it('gives up at once when nobody listens there', () => {
    const w = world((w) => (w.copies = () => 0));
    w.start();
    w.unreachable();
    expect(w.events).toEqual(['unmapped']);
  });

  it('takes the port that the router chose', () => {
    for (const pcp of [true, false]) {
      const w = world(({ router }) => {
        router.speaks.pcp = pcp;
        router.assigns = 50_000;
      });
      w.start();
      w.advance(300);
      expect(w.events).toEqual([`${pcp ? 'pcp' : 'nat-pmp'} 45.80.1.7:50000`]);
    }
  });

  it('can be tried again', () => {
    const w = world((w) => (w.copies = () => 0));
    w.start();
    w.advance(300);
    w.copies = () => 1;
    w.start();
    w.start();
    w.advance(300);
    expect(w.events).toEqual(['unmapped', `pcp 45.80.1.7:${PORT}`]);
  });

  it('survives lost, repeated and delayed packets', () => {
    forSeeds(500, (random) => {
      const w = new RouterWorld();
      const pcp = random.next() < 0.5;
      w.router.speaks = { pcp, natPmp: !pcp || random.next() < 0.5 };
      w.delay = random.integer(20);
      // At most one of three packets of a kind in one direction is lost, so that one exchange is always whole.
      const lost = random.integer(3);
      let count = 0;
      w.copies = (_, direction) => (direction === 'out' && count++ % 6 < lost ? 0 : 1 + random.integer(3));
      w.start();
      w.advance(1000);
      ensure(w.events.length === 1 && w.events[0] !== 'unmapped', `mapped once, not ${w.events}`);
      w.release();
      w.advance(1000);
      ensure(w.last === 'released' && w.events.length === 2, 'released once');
      ensure(w.runtime.pendingTimers === 0, 'nothing pending');
    });
  });
});

describe('what is not believed', () => {
  const granted = { nonce: NONCE, internalPort: PORT, externalPort: PORT, externalAddress: '45.80.1.7' };
  const silent = () => world((w) => (w.copies = () => 0));

  it.each([
    ['another nonce', pcpAnswer({ ...granted, nonce: Buffer.alloc(12) })],
    ['another internal port', pcpAnswer({ ...granted, internalPort: PORT + 1 })],
    ['external port 0', pcpAnswer({ ...granted, externalPort: 0 })],
    ['another protocol', pcpAnswer({ ...granted, protocol: 6 })],
    ['a NAT-PMP mapping that nobody asked for', natPmpMapped(PORT, PORT)],
    ['a refusal with another nonce', pcpAnswer({ ...granted, nonce: Buffer.alloc(12), result: 2 })],
  ])('%s', (_, answer) => {
    const w = silent();
    w.start();
    w.deliver(answer);
    expect(w.events).toEqual([]);
    expect(w.machine.refusals).toEqual([]);
  });

  it('an answer from elsewhere', () => {
    const w = silent();
    w.start();
    w.deliver(pcpAnswer(granted), { address: '192.168.1.2', port: 5351 });
    w.deliver(pcpAnswer(granted), { address: GATEWAY, port: 5350 });
    expect(w.events).toEqual([]);
    w.deliver(pcpAnswer(granted));
    expect(w.events).toEqual([`pcp 45.80.1.7:${PORT}`]);
  });

  it('a wrong internal port by NAT-PMP', () => {
    const w = world(({ router }) => (router.speaks.pcp = false));
    w.copies = (bytes) => (asksNatPmp(bytes) ? 0 : 1);
    w.start();
    w.advance(100);
    w.deliver(natPmpMapped(PORT + 1, PORT));
    expect(w.events).toEqual([]);
    w.deliver(natPmpMapped(PORT, PORT));
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
  });

  it('an answer that comes after it gave up', () => {
    const w = world((w) => (w.delay = 200));
    w.start();
    w.advance(1000);
    expect(w.events).toEqual(['unmapped']);
  });

  it('mutated answers: nothing throws, nothing is left behind', () => {
    forSeeds(2000, (random) => {
      const w = new RouterWorld();
      w.router.speaks = { pcp: random.next() < 0.5, natPmp: true };
      w.copies = (_, direction) => (direction === 'out' ? 1 : 0);
      w.start();
      const answers = [pcpAnswer(granted), natPmpMapped(PORT, PORT), natPmpError(1, 1)] as const;
      for (let i = 0; i < 8; i++) {
        w.deliver(mutate(random.pick(answers), random));
        w.advance(random.integer(100));
      }
      w.release();
      w.advance(1000);
      ensure(w.last === 'released', 'released');
      ensure(w.runtime.pendingTimers === 0, 'nothing pending');
    });
  });
});

describe('a router that refuses', () => {
  it('is asked in the other protocol, and both reasons are kept', () => {
    const w = world(({ router }) => {
      router.refuses = { pcp: PCP_RESULT.noResources, natPmp: NAT_PMP_RESULT.networkFailure };
    });
    w.start();
    w.advance(10);
    expect(w.events).toEqual(['unmapped']);
    expect(w.machine.refusals).toEqual([
      { protocol: 'pcp', reason: 'no-resources', code: 8 },
      { protocol: 'nat-pmp', reason: 'no-external-address', code: 3 },
    ]);
  });

  it('by PCP alone still maps by NAT-PMP', () => {
    const w = world(({ router }) => (router.refuses = { pcp: PCP_RESULT.notAuthorised }));
    w.start();
    w.advance(10);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
  });

  it('has no address of its own', () => {
    const w = world(({ router }) => (router.external = '0.0.0.0'));
    w.start();
    w.advance(10);
    expect(w.events).toEqual(['unmapped']);
    expect(w.machine.refusals.map(({ reason }) => reason)).toEqual([
      'no-external-address',
      'no-external-address',
    ]);
  });
});
