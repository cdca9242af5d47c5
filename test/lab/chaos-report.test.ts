import { describe, expect, test } from 'vitest';
import { forSeeds } from '../support/seeds.ts';
import type { Trouble } from './chaos/events.ts';
import { Ledger } from './chaos/ledger.ts';
import { minutesOf } from './chaos/memory.ts';
import { type Event, growthOf, type Played, reportOf } from './chaos/report.ts';
import { Pattern } from './chaos/traffic/pattern.ts';
import { NO_DATAGRAMS, type State } from './chaos/traffic/said.ts';

const MIB = 1 << 20;
const KILL: Trouble = { kind: 'server-kill', seconds: 3 };

function event(number: number, from: number, to: number, until: number): Event {
  return { number, trouble: KILL, from, to, until, note: '', path: 'direct, bracket' };
}

function played(change: Partial<Played> = {}): Played {
  return {
    seed: 1,
    begun: 0,
    ended: 60_000,
    events: [],
    samples: [],
    flows: 5,
    grace: 60,
    problems: [],
    ...change,
  };
}

function state(at: number, change: Partial<State> = {}): State {
  return { event: 'state', at, live: 1, stalled: [], bytes: 1000, datagrams: NO_DATAGRAMS, ...change };
}

/** One that has heard of a connection, and of bytes. */
function ledger(): Ledger {
  const made = new Ledger();
  made.hear('client', { event: 'opened', at: 0, id: 1, style: 'bulk' });
  for (const teller of ['client', 'service'] as const) made.hear(teller, state(100));
  return made;
}

describe('the pattern', () => {
  test('is the same from every offset, and tells where it is broken', () => {
    forSeeds(50, (random, seed) => {
      const pattern = new Pattern(seed);
      const [offset, size] = [random.integer(20_000), 1 + random.integer(10_000)];
      const part = new Pattern(seed).bytes(offset, size);
      expect(
        pattern
          .bytes(0, offset + size)
          .subarray(offset)
          .equals(part),
      ).toBe(true);
      expect(pattern.mismatch(offset, part)).toBeUndefined();
      const index = random.integer(size);
      part[index] = (part[index] ?? 0) ^ 1;
      expect(pattern.mismatch(offset, part)).toBe(index);
    });
  });

  test('finds bytes that are at another place than they should be', () => {
    const pattern = new Pattern(5);
    expect(pattern.locate(100_000, pattern.bytes(98_304, 64))).toBe(98_304);
    expect(pattern.locate(100_000, pattern.bytes(200_001, 64))).toBe(200_001);
    expect(pattern.locate(100_000, Buffer.alloc(64))).toBeUndefined();
  });
});

describe('the ledger', () => {
  test('a connection is whole when both ends ended and each has what the other sent', () => {
    const told = ledger();
    told.hear('client', { event: 'ended', at: 9, id: 1, sent: 10, received: 20 });
    expect(told.connections).toEqual({ opened: 1, whole: 0, failed: 0 });
    told.hear('service', { event: 'ended', at: 9, id: 1, sent: 20, received: 10 });
    expect(told.connections).toEqual({ opened: 1, whole: 1, failed: 0 });
    told.close(99);
    expect(told.failures).toEqual([]);
  });

  test('one that ended in order with a byte less is truncated', () => {
    const told = ledger();
    told.hear('client', { event: 'ended', at: 9, id: 1, sent: 10, received: 19 });
    told.hear('service', { event: 'ended', at: 9, id: 1, sent: 20, received: 10 });
    expect(told.failures).toMatchObject([{ id: 1, style: 'bulk', what: 'truncated' }]);
  });

  test('a connection fails once, and one that never ended is unfinished', () => {
    const told = ledger();
    told.hear('client', { event: 'opened', at: 0, id: 2, style: 'chat' });
    const sums = { id: 1, sent: 0, received: 0 };
    told.hear('client', { event: 'failed', at: 5, what: 'reset', detail: 'x', ...sums });
    told.hear('service', { event: 'failed', at: 6, what: 'reset', detail: 'y', ...sums });
    told.close(99);
    expect(told.failures).toMatchObject([
      { id: 1, what: 'reset', teller: 'client', detail: 'x' },
      { id: 2, what: 'unfinished' },
    ]);
  });

  test('it moves when both have told so since, and what has failed is not waited for', () => {
    const told = ledger();
    expect(told.moves('tcp', 5000)).toBe(false);
    const stalled = [{ kind: 'tcp', id: 1, since: 4000 }] as const;
    told.hear('client', state(6000));
    told.hear('service', state(6000, { stalled }));
    expect([told.moves('tcp', 5000), told.moves('udp', 5000)]).toEqual([false, true]);
    told.hear('client', { event: 'failed', at: 6, what: 'reset', detail: '', id: 1, sent: 0, received: 0 });
    expect(told.moves('tcp', 5000)).toBe(true);
  });
});

describe('the report', () => {
  const events = [event(1, 10_000, 13_000, 30_000), event(2, 30_000, 33_000, 60_000)];

  test('a run in which everything lived is without complaints', () => {
    const told = ledger();
    told.hear('service', { event: 'paused', kind: 'tcp', id: 1, from: 10_200, at: 14_500 });
    told.hear('client', { event: 'paused', kind: 'udp', id: 0, from: 10_200, at: 15_000 });
    told.hear('client', state(10_000, { datagrams: { ...NO_DATAGRAMS, sent: 100, echoed: 100 } }));
    told.hear('client', state(30_000, { datagrams: { ...NO_DATAGRAMS, sent: 400, echoed: 350 } }));
    const { rows, complaints } = reportOf(played({ events }), told);
    expect(complaints).toEqual([]);
    expect(rows[0]).toMatchObject({ at: 10_000, lasted: 3000, pause: 4300, recovered: 1500, echoed: 2000 });
    expect(rows[0]?.datagrams).toMatchObject({ sent: 300, echoed: 250 });
    expect(rows[1]).toMatchObject({ pause: 0, recovered: 0, echoed: 0 });
  });

  test('a later pause counts as one, but not against the recovery', () => {
    const told = ledger();
    told.hear('client', { event: 'paused', kind: 'tcp', id: 1, from: 20_000, at: 22_000 });
    expect(reportOf(played({ events }), told).rows[0]).toMatchObject({ pause: 2000, recovered: 0 });
  });

  test('failures, pauses beyond the grace, and flows without an echo are complained of', () => {
    const told = ledger();
    told.hear('client', {
      event: 'failed',
      at: 11_000,
      what: 'reset',
      detail: '',
      id: 1,
      sent: 0,
      received: 0,
    });
    told.hear('client', { event: 'paused', kind: 'tcp', id: 2, from: 10_000, at: 71_000 });
    told.hear('client', { event: 'paused', kind: 'udp', id: 0, from: 31_000, at: 49_000 });
    const { complaints, rows } = reportOf(played({ events, ended: 72_000 }), told);
    expect(rows[0]).toMatchObject({ failures: 1, pause: 61_000 });
    expect(complaints.join('\n')).toContain('1 connections: reset');
    expect(complaints.join('\n')).toContain('event 1 (server-kill 3 s): a connection stood still');
    expect(complaints.join('\n')).toContain('event 2 (server-kill 3 s): a UDP flow had no echo');
    expect(reportOf(played({ events, flows: 0 }), told).complaints.join('\n')).not.toContain('UDP');
  });

  test('what stands still at the end never moved again; and where nothing arrived, nothing is proven', () => {
    const told = new Ledger();
    told.hear('client', { event: 'opened', at: 0, id: 1, style: 'chat' });
    told.hear('client', state(60_000, { bytes: 0, stalled: [{ kind: 'tcp', id: 1, since: 31_000 }] }));
    const { rows, complaints } = reportOf(played({ events }), told);
    expect(rows.map(({ recovered }) => recovered)).toEqual([0, null]);
    expect(complaints.join('\n')).toContain('no byte arrived at all');
  });

  test('memory: the median of each minute; the tenth against the second', () => {
    const grown = (last: number) =>
      [50, 100, ...Array(7).fill(110), last].flatMap((mib, minute) =>
        [0, 1, 2].map((index) => ({
          at: minute * 60_000 + index * 20_000,
          program: 'publisher',
          // One outlier a minute is none of the median's business.
          resident: (index === 0 ? 9 * mib : mib) * MIB,
        })),
      );
    const minutes = minutesOf(grown(119), 'publisher');
    expect(minutes).toHaveLength(10);
    expect([minutes[0], minutes[1], minutes[9]]).toEqual([50 * MIB, 100 * MIB, 119 * MIB]);
    expect(growthOf(minutes)).toBeCloseTo(1.19);
    expect(growthOf(minutes.slice(0, 2))).toBeUndefined();
    const complaintsOf = (last: number) => reportOf(played({ samples: grown(last) }), ledger()).complaints;
    expect(complaintsOf(119)).toEqual([]);
    expect(complaintsOf(121)).toEqual([expect.stringContaining('minute 10 is 1.21 ×')]);
    const short = grown(121).map(({ at, ...rest }) => ({ ...rest, at: Math.max(0, at - 60_000) }));
    expect(reportOf(played({ samples: short }), ledger()).complaints).toEqual([]);
  });
});
