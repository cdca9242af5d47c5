import { describe, expect, test, vi } from 'vitest';
import { at, begun, direct, searchStage, standpoint } from '../../support/search-stage.ts';

vi.mock('../../../src/tunnel/direct/direct-path.ts', async () => {
  const { FakeDirectPath } = await import('../../support/fake-direct-path.ts');
  return { DirectPath: FakeDirectPath };
});

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const PREDICTION = { address: '45.80.1.2', ports: [6000], strategy: 'bracket' } as const;

/** One that has been told of a first step. */
function seeking(options?: Parameters<typeof searchStage>[0]) {
  const stage = begun(options);
  stage.step(1);
  return stage;
}

describe('a step', () => {
  test('is prepared, begun and reported as the server orders it', () => {
    const stage = seeking();
    const { search, step, said, latest, link, paths, runtime } = stage;
    expect(latest.told).toEqual(['arm direct nobody 1']);
    latest.handler.onArmed();
    search.onPunchGo(2);
    search.onPunchGo(1);
    expect(latest.told.slice(1)).toEqual(['go']);
    latest.handler.onFailed('unanswered');
    step(2, { plan: { strategies: ['bracket'], hard: 'publisher', tries: 3 } });
    expect(latest.told.slice(2)).toEqual(['arm bracket publisher 3']);
    runtime.advance(250);
    latest.up({ strategy: 'bracket', remote: '45.80.1.2:5000' });
    expect(said()).toEqual(['armed 1', 'failed 1', 'direct by bracket 2']);
    expect([stage.made.length, link.path?.kind, paths()]).toEqual([1, 'direct', ['direct 250']]);
  });

  test('is begun with where this client stands, and what was agreed on', () => {
    const { connection, latest, runtime } = seeking();
    const { sockets, measured, loopback } = connection.standpoint ?? standpoint();
    expect(latest.options.punch).toMatchObject({ role: 'subscriber', sockets, measured, loopback, runtime });
    expect(latest.options.quic).toMatchObject({ role: 'subscriber', maxStreams: 20, name: 'test' });
  });

  test('is refused where no direct path is wanted, and nothing is told of where we are', () => {
    const stage = searchStage({ refusal: 'peer-off' });
    stage.begin();
    stage.step(1);
    stage.search.onPunchRelay(1, 'refused');
    stage.move();
    stage.search.onOnline();
    stage.runtime.advance(MINUTE);
    expect([stage.said(), stage.made, stage.relays]).toEqual([['refused 1'], [], []]);
    expect(stage.link.path).toMatchObject({ reason: 'peer-off' });
  });

  test('fails where nothing is measured, or nothing can be used, and does not count then', () => {
    const stage = begun();
    const { connection, step, said } = stage;
    const { standpoint: place } = connection;
    connection.standpoint = undefined;
    for (let i = 1; i <= 10; i++) step(i, { search: i });
    connection.standpoint = place;
    step(11, { search: 11, plan: { strategies: ['teleport'] } });
    connection.quiche = undefined;
    step(12, { search: 12 });
    expect(stage.made).toEqual([]);
    connection.quiche = {};
    step(13, { search: 13 });
    expect(said()).toEqual(Array.from({ length: 12 }, (_, i) => `failed ${i + 1}`));
    expect(stage.made).toHaveLength(1);
  });

  test('is tried by those of its strategies that we know', () => {
    const stage = begun();
    stage.step(1, { plan: { strategies: ['teleport', 'host', 'warp', 'direct'] } });
    expect(stage.latest.told).toEqual(['arm host,direct nobody 1']);
  });

  test('that may send much waits for the relay, which proves who the peer is; others do not', () => {
    const stage = begun();
    const birthday = { strategies: ['birthday'], hard: 'publisher', tries: 2 } as const;
    stage.step(1, { plan: birthday });
    stage.hear({
      kind: 'prediction',
      step: 1,
      prediction: { address: '45.80.1.2', first: 2000, last: 3000 },
    });
    expect(stage.latest.told).not.toContain('arm birthday publisher 2');
    stage.search.relayIsUp();
    expect(stage.latest.told.slice(-2)).toEqual(['arm birthday publisher 2', 'predict 2000']);
    stage.step(2, { plan: birthday });
    expect(stage.latest.told.at(-1)).toBe('arm birthday publisher 2');
  });

  test('that waits for the relay is forgotten when there is another one', () => {
    for (const strategies of [['host'], ['teleport']]) {
      const stage = begun();
      stage.step(1, { plan: { strategies: ['birthday'], hard: 'publisher' } });
      stage.step(2, { plan: { strategies } });
      stage.search.relayIsUp();
      expect(stage.latest.told.join()).not.toContain('birthday');
    }
  });

  test('of another search begins anew', () => {
    const stage = seeking();
    const { latest: first } = stage;
    stage.step(2, { search: 2 });
    expect([first.isOver, stage.made.length, stage.latest.told]).toEqual([true, 2, ['arm direct nobody 1']]);
    stage.latest.handler.onFailed('no handshake');
    stage.latest.isOver = true;
    stage.step(3, { search: 2 });
    expect(stage.made).toHaveLength(3);
  });
});

test('the time of the first search is counted from when the peers have met', () => {
  const stage = begun();
  stage.runtime.advance(100);
  stage.step(1);
  stage.runtime.advance(50);
  stage.latest.up();
  expect(stage.paths()).toEqual(['direct 150']);
});

describe('what comes before the peers have met', () => {
  test('is kept in its order', () => {
    const stage = searchStage();
    stage.hearOf(5000, 5001);
    stage.step(1);
    stage.hear({ kind: 'prediction', step: 1, prediction: PREDICTION });
    stage.listener().onPunchGo(1);
    expect(stage.made).toEqual([]);
    stage.begin();
    expect(stage.latest.told).toEqual([
      'candidate 5000',
      'candidate 5001',
      'arm direct nobody 1',
      'predict 6000',
      'go',
    ]);
    stage.hearOf(5002);
    expect(stage.latest.told.at(-1)).toBe('candidate 5002');
  });

  test('is kept within bounds', () => {
    const stage = searchStage();
    for (let i = 0; i < 1000; i++) stage.step(i);
    stage.begin();
    expect(stage.latest.told).toHaveLength(32);
  });

  test('is forgotten with the search', () => {
    const stage = searchStage();
    stage.step(1);
    stage.search.close();
    stage.begin();
    stage.step(2);
    expect([stage.made, stage.said(), stage.listeners.size]).toEqual([[], [], 0]);
  });
});

describe('the peer', () => {
  test('is told where we are, at once or when that is known, and only what is new', () => {
    const stage = searchStage();
    stage.begin();
    expect(stage.said()).toEqual(['at 5000']);
    stage.move({ candidates: at(5000, 6000) });
    expect(stage.said()).toEqual(['at 5000,6000']);
    stage.move({ candidates: at(6000) });
    expect(stage.said()).toEqual([]);
    const late = searchStage();
    late.connection.standpoint = undefined;
    late.begin();
    expect(late.said()).toEqual([]);
    late.move();
    expect(late.said()).toEqual(['at 5000']);
  });

  test('is told again by a client that was away', () => {
    const stage = begun();
    stage.connection.online = false;
    stage.move({ candidates: at(6000) });
    stage.said();
    stage.connection.online = true;
    stage.search.onOnline();
    expect(stage.said()).toEqual(['at 6000']);
  });

  test('is known from one search to the next, by its latest addresses', () => {
    const stage = begun();
    stage.hearOf(5000);
    stage.step(1);
    stage.hearOf(5001);
    stage.step(2, { search: 2 });
    expect(stage.made.map(({ told }) => told.filter((one) => one.startsWith('candidate')))).toEqual([
      ['candidate 5000', 'candidate 5001'],
      ['candidate 5000', 'candidate 5001'],
    ]);
  });

  test('hears what we predict, for the step that it is about', () => {
    const stage = seeking();
    stage.step(7);
    stage.latest.handler.onPredicted(PREDICTION);
    expect(stage.said()).toEqual(['predicted for 7']);
  });

  test('can predict before its step comes, and for no other one', () => {
    const stage = begun();
    stage.hear({ kind: 'prediction', step: 2, prediction: PREDICTION });
    stage.step(1);
    expect(stage.latest.told).toEqual(['arm direct nobody 1']);
    stage.step(2);
    expect(stage.latest.told.slice(1)).toEqual(['arm direct nobody 1', 'predict 6000']);
    stage.step(3);
    stage.hear({ kind: 'prediction', step: 2, prediction: PREDICTION });
    expect(stage.latest.told.slice(3)).toEqual(['arm direct nobody 1']);
  });

  test('whose messages somebody changes is a trouble that is told once', () => {
    const stage = seeking();
    for (let i = 0; i < 3; i++) {
      stage.search.onPeerMessage({ body: Buffer.from('{}'), mac: Buffer.alloc(32) });
    }
    expect(stage.troubles).toEqual(['peer_unverified']);
    stage.hearOf(5000);
    expect(stage.latest.told.at(-1)).toBe('candidate 5000');
  });
});

describe('bytes', () => {
  test('are reported at most every 20 s, and only if there are any', () => {
    const stage = direct();
    const { latest } = stage;
    const reports: number[] = [];
    for (let second = 1; second <= 65; second++) {
      if (second < 45) latest.received += 100;
      stage.runtime.advance(SECOND);
      for (const said of stage.said()) {
        expect(said).toMatch(/^bytes /);
        reports.push(second, Number(said.slice(6)));
      }
    }
    expect(reports).toEqual([20, 2000, 40, 2000, 60, 400]);
  });

  test('are reported of what is lost or over, and of no path twice', () => {
    const lost = direct();
    lost.latest.received = 7;
    lost.latest.die();
    expect(lost.said()).toEqual(['bytes 7', 'again 1']);
    lost.latest.received = 5;
    lost.runtime.advance(MINUTE);
    expect(lost.said()).toEqual([]);
    lost.step(2, { search: 2 });
    lost.latest.up();
    lost.said();
    lost.latest.received = 8;
    lost.runtime.advance(20 * SECOND);
    expect(lost.said()).toEqual(['bytes 8']);
    const closed = direct();
    closed.latest.received = 9;
    closed.search.close();
    expect(closed.said()).toEqual(['bytes 9']);
  });

  test('that came while the server was away are reported later', () => {
    const stage = direct();
    stage.connection.online = false;
    stage.latest.received = 3;
    stage.runtime.advance(30 * SECOND);
    stage.connection.online = true;
    stage.latest.received += 4;
    stage.runtime.advance(10 * SECOND);
    expect(stage.said()).toEqual(['bytes 7']);
  });
});

describe('its end', () => {
  test('stops everything', () => {
    const relayed = begun();
    relayed.search.onPunchRelay(1, 'exhausted');
    const [seeking, found] = [begun(), direct()];
    // Both at once: one in use, another being looked for.
    found.step(2, { search: 2 });
    seeking.step(1);
    for (const stage of [relayed, seeking, found]) {
      const made = [...stage.made];
      stage.search.close();
      stage.search.close();
      expect(made.every(({ isOver }) => isOver)).toBe(true);
      expect([stage.listeners.size, stage.runtime.pendingTimers]).toEqual([0, 0]);
      stage.said();
      stage.step(9, { search: 9 });
      stage.search.onPunchRelay(9, 'exhausted');
      stage.search.relayIsUp();
      stage.hearOf(5000);
      stage.runtime.advance(HOUR);
      expect([stage.said(), stage.runtime.pendingTimers]).toEqual([[], 0]);
    }
  });
});

test('while another link searches by birthday, such a step comes to nothing, and others go on', () => {
  const stage = begun();
  stage.search.relayIsUp();
  stage.connection.isTaken = true;
  stage.step(1, { plan: { strategies: ['birthday'], hard: 'publisher' } });
  expect([stage.said(), stage.made]).toEqual([['failed 1'], []]);
  stage.step(2);
  expect(stage.latest.told).toEqual(['arm direct nobody 1']);
});

describe('peers who meet again, because the server has forgotten them', () => {
  test('keep the path that they have: the first search is answered by it', () => {
    const stage = direct();
    const path = stage.latest;
    stage.beginAgain();
    expect(stage.said().filter((word) => !word.startsWith('closed'))).toEqual(['at 5000']);
    stage.step(1);
    expect(stage.said()).toEqual(['direct by direct 1']);
    expect([stage.made.length, path.isOver, stage.paths()]).toEqual([1, false, []]);
    // Another one has a reason, and is taken.
    stage.step(2, { search: 2 });
    expect(stage.made).toHaveLength(2);
  });

  test('look for one where they have none, under new numbers', () => {
    const stage = begun();
    stage.step(7, { search: 5 });
    const [first] = stage.made;
    stage.said();
    stage.beginAgain();
    // The peer may have it already: it must not hear that the link is over.
    expect([first?.told.at(-1), first?.isOver, stage.listeners.size]).toEqual(['drop', true, 1]);
    stage.step(1);
    expect(stage.latest.told).toEqual(['arm direct nobody 1']);
    expect(stage.made).toHaveLength(2);
  });

  test('tell the server that the link under the old id is over; the subscriber does', () => {
    const ids = (['subscriber', 'publisher'] as const).map((role) => {
      const stage = begun({ role });
      stage.beginAgain();
      return stage.said().filter((word) => word.startsWith('closed')).length;
    });
    expect(ids).toEqual([1, 0]);
  });
});
