import { describe, expect, it } from 'vitest';
import { Heartbeat } from '../../src/relay/heartbeat.ts';

/** One that has had its first ping answered, 10 ms after it began. */
function quiet(busyInterval?: number): Heartbeat {
  const heartbeat = new Heartbeat(0, busyInterval);
  answer(heartbeat, 0, 10);
  return heartbeat;
}

function answer(heartbeat: Heartbeat, pinged: number, at: number): void {
  const value = heartbeat.ping(pinged);
  heartbeat.heard(at);
  expect(heartbeat.pong(value, at)).toBe(true);
}

describe('a heartbeat', () => {
  it('beats every 30 s, and faster while it is in use', () => {
    const heartbeat = quiet(5000);
    expect([heartbeat.deadline(false), heartbeat.deadline(true)]).toEqual([30_000, 5000]);
    expect([heartbeat.isDue(5000, false), heartbeat.isDue(5000, true)]).toEqual([false, true]);
    expect(quiet().deadline(true)).toBe(30_000);
  });

  it('counts use that leaves no stream for 30 s', () => {
    const heartbeat = quiet(5000);
    heartbeat.use(2000);
    expect(heartbeat.deadline(false)).toBe(5000);
    answer(heartbeat, 25_000, 25_010);
    expect(heartbeat.deadline(false)).toBe(30_000);
    answer(heartbeat, 30_000, 30_010);
    expect(heartbeat.deadline(false)).toBe(60_000);
  });

  it('gives the peer 10 s from the last sign of life', () => {
    const heartbeat = quiet();
    heartbeat.ping(30_000);
    expect(heartbeat.deadline(false)).toBe(40_000);
    heartbeat.heard(35_000);
    expect([heartbeat.isDead(44_999), heartbeat.isDead(45_000)]).toEqual([false, true]);
  });

  it('doubts the path once for each ping that nothing answers for 2 s', () => {
    const heartbeat = quiet(5000);
    heartbeat.ping(5000);
    expect(heartbeat.deadline(true)).toBe(7000);
    heartbeat.heard(6000);
    expect([heartbeat.deadline(true), heartbeat.isDoubtful(7999)]).toEqual([8000, false]);
    expect([heartbeat.isDoubtful(8000), heartbeat.isDoubtful(8001)]).toEqual([true, false]);
    expect(heartbeat.deadline(true)).toBe(16_000);
    heartbeat.heard(9000);
    expect(heartbeat.isDoubtful(12_000)).toBe(false);
    heartbeat.ping(12_000);
    expect(heartbeat.isDoubtful(14_000)).toBe(true);
  });

  it('looks twice when it looks late: the process may have been asleep', () => {
    const heartbeat = quiet();
    const value = heartbeat.ping(30_000);
    expect(heartbeat.isDead(50_000)).toBe(false);
    expect(heartbeat.deadline(false)).toBe(52_000);
    expect(heartbeat.isDead(51_999)).toBe(false);
    // What had been waiting to be read.
    heartbeat.heard(51_000);
    expect(heartbeat.pong(value, 51_000)).toBe(true);
    heartbeat.ping(60_000);
    expect([heartbeat.isDead(80_000), heartbeat.isDead(82_000)]).toEqual([false, true]);
  });

  it('looks twice once only, however late it is again', () => {
    const heartbeat = quiet();
    heartbeat.ping(30_000);
    expect([heartbeat.isDead(50_000), heartbeat.isDead(90_000)]).toEqual([false, true]);
  });

  it('gives a peer that is doubted 5 s, not more for being doubted again, until it is heard', () => {
    const heartbeat = quiet();
    expect(heartbeat.check(1000)).toBe(true);
    heartbeat.ping(1000);
    expect(heartbeat.check(4000)).toBe(false);
    expect([heartbeat.deadline(false), heartbeat.isDead(5999), heartbeat.isDead(6000)]).toEqual([
      6000,
      false,
      true,
    ]);
    heartbeat.heard(5500);
    expect(heartbeat.deadline(false)).toBe(15_500);
  });

  it('is not made more patient by a doubt', () => {
    const heartbeat = quiet();
    heartbeat.ping(30_000);
    heartbeat.check(38_000);
    expect(heartbeat.deadline(false)).toBe(40_000);
  });
});
