import { describe, expect, it } from 'vitest';
import { NONCE, PORT, world } from './router-world.ts';
import { natPmpMapped, PCP_RESULT, pcpAnswer } from './virtual-router.ts';

const MINUTE = 60_000;
const isPcp = (bytes: Buffer) => bytes[0] === 2;
const isNatPmpAddress = (bytes: Buffer) => bytes[0] === 0 && bytes[1] === 128;

describe('keeping a mapping', () => {
  it.each([true, false])('renews it every ten minutes, quietly (PCP: %s)', (pcp) => {
    const w = world(({ router }) => (router.speaks.pcp = pcp));
    w.start();
    w.advance(300);
    const before = w.sent.length;
    w.advance(60 * MINUTE);
    expect(w.events).toHaveLength(1);
    expect(w.sent.length - before).toBe(pcp ? 6 : 12);
  });

  it('renews at half of a short lifetime, and not more often than that of a minute', () => {
    for (const [lifetime, renewals] of [
      [120, 10],
      [1, 20],
    ] as const) {
      const w = world(({ router }) => (router.lifetime = lifetime));
      w.start();
      w.advance(300);
      const before = w.sent.length;
      w.advance(10 * MINUTE);
      expect(w.sent.length - before).toBe(renewals);
    }
  });

  it('does not believe a lifetime of a hundred years, nor of none', () => {
    const w = world(({ router }) => (router.lifetime = 0xffffffff));
    w.start();
    w.advance(300 + 10 * MINUTE);
    expect(w.sent.filter(({ at }) => at > 300)).toHaveLength(1);
    const none = world(({ router }) => (router.lifetime = 0));
    none.start();
    none.advance(300);
    expect(none.events).toEqual(['unmapped']);
  });

  it.each([true, false])('makes it anew in a router that has restarted (PCP: %s)', (pcp) => {
    const w = world(({ router }) => (router.speaks.pcp = pcp));
    w.start();
    w.advance(300);
    w.router.restart();
    w.advance(10 * MINUTE);
    expect(w.router.table.get(PORT)).toBe(PORT);
    expect(w.events).toHaveLength(1);
  });

  it('tells when the router has another address or port afterwards', () => {
    const w = world();
    w.start();
    w.advance(300);
    w.router.restart();
    w.router.assigns = 50_000;
    w.router.external = '45.80.1.8';
    w.advance(10 * MINUTE);
    expect(w.events).toEqual([`pcp 45.80.1.7:${PORT}`, 'pcp 45.80.1.8:50000']);
  });

  it('tells the address of now by NAT-PMP, also where the answer with it is late', () => {
    const w = world(({ router }) => (router.speaks.pcp = false));
    w.start();
    w.advance(300);
    w.router.external = '45.80.1.8';
    let lost = 2;
    w.copies = (bytes, direction) => (direction === 'in' && isNatPmpAddress(bytes) && lost-- > 0 ? 0 : 1);
    w.advance(10 * MINUTE + 1000);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
    w.advance(300);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`, `nat-pmp 45.80.1.8:${PORT}`]);
  });

  it('keeps what it has by NAT-PMP where the address does not come, and asks again', () => {
    const w = world(({ router }) => (router.speaks.pcp = false));
    w.start();
    w.advance(300);
    w.router.external = '45.80.1.8';
    w.copies = (bytes) => (isNatPmpAddress(bytes) ? 0 : 1);
    w.advance(11 * MINUTE);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
    // An answer from a round that is over.
    w.deliver(natPmpMapped(PORT, PORT));
    expect(w.events).toHaveLength(1);
    w.copies = () => 1;
    w.advance(10 * MINUTE);
    expect(w.last).toBe(`nat-pmp 45.80.1.8:${PORT}`);
  });

  it('believes a router that says so unasked (RFC 6887 section 14.2)', () => {
    const w = world();
    w.start();
    w.advance(300);
    const changed = {
      nonce: NONCE,
      internalPort: PORT,
      externalPort: 50_000,
      externalAddress: '45.80.1.8',
    };
    w.deliver(pcpAnswer(changed));
    expect(w.last).toBe('pcp 45.80.1.8:50000');
    w.deliver(pcpAnswer({ ...changed, result: PCP_RESULT.notAuthorised }));
    expect(w.last).toBe('pcp 45.80.1.8:50000');
  });

  it('lets a renewal or two go unanswered, but not the end of the lifetime', () => {
    const w = world(({ router }) => (router.lifetime = 600));
    w.start();
    w.advance(300);
    w.copies = () => 0;
    const before = w.sent.length;
    w.advance(9 * MINUTE);
    expect(w.events).toHaveLength(1);
    w.advance(2 * MINUTE);
    expect(w.events).toEqual([`pcp 45.80.1.7:${PORT}`, 'unmapped']);
    expect(w.sent.length - before).toBeLessThan(30);
    expect(w.runtime.pendingTimers).toBe(0);
  });

  it('is lost when the router refuses to renew it', () => {
    const w = world();
    w.start();
    w.advance(300);
    w.router.refuses = { pcp: PCP_RESULT.notAuthorised };
    w.advance(10 * MINUTE + 100);
    expect(w.last).toBe('unmapped');
    expect(w.machine.refusals).toEqual([{ protocol: 'pcp', reason: 'not-authorised', code: 2 }]);
  });
});

describe('giving it back', () => {
  it.each([true, false])('deletes it and ends with the answer (PCP: %s)', (pcp) => {
    const w = world(({ router }) => (router.speaks.pcp = pcp));
    w.start();
    w.advance(300);
    w.release();
    w.advance(5);
    expect(w.last).toBe('released');
    expect(w.router.table.size).toBe(0);
    expect(w.runtime.pendingTimers).toBe(0);
  });

  it('sends twice and waits no longer than 300 ms', () => {
    const w = world();
    w.start();
    w.advance(300);
    w.copies = () => 0;
    const before = w.sent.length;
    w.release();
    w.release();
    w.advance(299);
    expect(w.last).not.toBe('released');
    w.advance(1);
    expect(w.last).toBe('released');
    expect(w.sent.length - before).toBe(2);
  });

  it('has nothing to say where nothing was mapped', () => {
    const w = world((w) => (w.copies = () => 0));
    w.release();
    expect(w.events).toEqual(['released']);
    expect(w.sent).toEqual([]);
  });

  it('also takes back what was asked for a moment ago', () => {
    const w = world((w) => (w.delay = 30));
    w.start();
    w.advance(40);
    expect(w.router.table.size).toBe(1);
    w.release();
    w.advance(100);
    expect(w.events).toEqual(['released']);
    expect(w.router.table.size).toBe(0);
  });

  it.each(['granted', 'unheard'])('in both protocols, where it was asked in both (PCP: %s)', (pcp) => {
    const w = world((w) => (w.copies = (bytes, direction) => (isPcp(bytes) && direction === 'in' ? 0 : 1)));
    w.start();
    w.advance(90);
    expect(w.events).toEqual([`nat-pmp 45.80.1.7:${PORT}`]);
    const late = { nonce: NONCE, internalPort: PORT, externalPort: PORT, externalAddress: '45.80.1.7' };
    if (pcp === 'granted') w.deliver(pcpAnswer(late));
    w.copies = () => 1;
    const before = w.sent.length;
    w.release();
    const deletions = w.sent.slice(before).map(({ bytes }) => bytes);
    expect(deletions.map((bytes) => bytes[0])).toEqual([2, 0]);
    expect(deletions.map((bytes) => bytes.readUInt32BE(isPcp(bytes) ? 4 : 8))).toEqual([0, 0]);
    w.advance(5);
    expect(w.events.slice(1)).toEqual(['released']);
    expect(w.runtime.pendingTimers).toBe(0);
  });

  it('while a renewal by NAT-PMP waits for the address', () => {
    const w = world(({ router }) => (router.speaks.pcp = false));
    w.start();
    w.advance(300);
    w.copies = (bytes) => (isNatPmpAddress(bytes) ? 0 : 1);
    w.advance(10 * MINUTE + 300);
    w.release();
    w.advance(5);
    expect(w.last).toBe('released');
    expect(w.router.table.size).toBe(0);
  });
});
