import { describe, expect, test, vi } from 'vitest';
import { at, begun, direct, searchStage } from '../../support/search-stage.ts';
import { coneVerdict, symmetricVerdict } from '../../support/verdict.ts';

vi.mock('../../../src/tunnel/direct/direct-path.ts', async () => {
  const { FakeDirectPath } = await import('../../support/fake-direct-path.ts');
  return { DirectPath: FakeDirectPath };
});

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe('a search that found nothing', () => {
  test('leaves the link relayed, and says why', () => {
    const stage = begun();
    stage.step(1);
    stage.search.onPunchRelay(1, 'unpredictable');
    expect([stage.latest.isOver, stage.relays]).toEqual([true, ['unpredictable']]);
    expect(stage.link.path).toMatchObject({ kind: 'relayed', reason: 'unpredictable' });
    stage.search.onPunchGo(1);
    expect(stage.latest.told.at(-1)).toBe('drop');
  });

  test.each(['exhausted', 'busy', 'unmeasured'])(
    'is asked for again when it was %s: from 10 s to an hour later',
    (reason) => {
      const stage = begun();
      const pauses: number[] = [];
      for (let search = 1; search <= 12; search++) {
        stage.step(search, { search });
        stage.search.onPunchRelay(search, reason);
        const since = stage.runtime.now();
        while (stage.said().length === 0) stage.runtime.advance(SECOND);
        pauses.push((stage.runtime.now() - since) / SECOND);
      }
      expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
    },
  );

  test('is asked for again once, by the subscriber, with the number of the latest', () => {
    const [stage, publisher] = [begun(), begun({ role: 'publisher' })];
    for (const one of [stage, publisher]) {
      one.search.onPunchRelay(3, 'exhausted');
      one.search.onPunchRelay(4, 'exhausted');
      one.runtime.advance(HOUR);
    }
    expect([stage.said(), publisher.said()]).toEqual([['again 4'], []]);
  });

  test.each(['unpredictable', 'udp-blocked', 'no-hairpin', 'refused', 'too-new'])(
    'is not asked for again when it was %s',
    (reason) => {
      const stage = begun();
      stage.search.onPunchRelay(1, reason);
      stage.runtime.advance(2 * HOUR);
      expect([stage.said(), stage.relays, stage.runtime.pendingTimers]).toEqual([[], [reason], 0]);
    },
  );

  test('is not asked for while another one is under way', () => {
    const stage = begun();
    stage.search.onPunchRelay(1, 'exhausted');
    stage.step(1, { search: 2 });
    stage.runtime.advance(20 * SECOND);
    expect(stage.said()).toEqual([]);
    stage.latest.up();
    stage.said();
    stage.runtime.advance(HOUR);
    expect(stage.said()).toEqual([]);
  });

  test('says nothing of an older one', () => {
    const stage = begun();
    stage.step(1, { search: 2 });
    stage.search.onPunchRelay(1, 'exhausted');
    expect([stage.latest.isOver, stage.relays]).toEqual([false, []]);
  });

  test('changes nothing for a client that has a path', () => {
    const stage = direct();
    stage.search.onPunchRelay(1, 'exhausted');
    stage.step(2, { search: 2 });
    stage.search.onPunchRelay(2, 'unpredictable');
    expect(stage.made.map(({ isOver }) => isOver)).toEqual([false, true]);
    expect([stage.link.path?.kind, stage.relays, stage.paths()]).toEqual(['direct', [], []]);
    stage.runtime.advance(HOUR);
    expect(stage.said()).toEqual([]);
  });
});

describe('a path that is lost', () => {
  test('is looked for again at once; the link is relayed meanwhile', () => {
    for (const role of ['subscriber', 'publisher'] as const) {
      const stage = direct({ role });
      stage.latest.die();
      expect([stage.paths(), stage.said()]).toEqual([['lost'], ['again 1']]);
      stage.runtime.advance(5 * SECOND);
      stage.step(2, { search: 2 });
      stage.runtime.advance(300);
      stage.latest.up();
      // The time of a later search is counted from its begin.
      expect([stage.paths(), stage.said()]).toEqual([['direct 300'], ['direct by direct 2']]);
    }
  });

  test('while the server is away is looked for when it is back', () => {
    const stage = direct();
    stage.connection.online = false;
    stage.latest.die();
    expect(stage.said()).toEqual([]);
    stage.connection.online = true;
    stage.search.onOnline();
    expect(stage.said()).toEqual(['at 5000', 'again 1']);
  });

  test('is no loss where a newer one has taken its place', () => {
    const stage = direct();
    const [older] = stage.made;
    stage.step(2, { search: 2 });
    stage.latest.up({ strategy: 'host', remote: '192.168.2.3:5000' });
    stage.runtime.advance(2000);
    expect([older?.isOver, older?.carrier?.closed, stage.link.path]).toEqual([
      false,
      true,
      expect.objectContaining({ remote: '192.168.2.3:5000' }),
    ]);
    stage.said();
    stage.paths();
    older?.die();
    expect([stage.said(), stage.paths()]).toEqual([[], []]);
  });

  test('is not looked for when the link is over', () => {
    const stage = direct();
    stage.link.close();
    expect(stage.said()).toEqual([]);
  });

  test('begins the pauses anew', () => {
    const stage = begun();
    for (const search of [1, 2, 3]) {
      stage.search.onPunchRelay(search, 'exhausted');
      stage.runtime.advance(MINUTE);
    }
    stage.step(1, { search: 4 });
    stage.latest.up();
    stage.latest.die();
    stage.said();
    stage.search.onPunchRelay(5, 'exhausted');
    stage.runtime.advance(10 * SECOND);
    expect(stage.said()).toEqual(['again 5']);
  });
});

describe('a path that is silent', () => {
  test('is looked for elsewhere at once, and kept', () => {
    const stage = direct();
    stage.latest.silence(true);
    expect([stage.said(), stage.paths()]).toEqual([['again 1'], ['silent']]);
    // The way to the server may have died with it.
    expect(stage.connection.checks).toBe(1);
    stage.search.onPunchRelay(2, 'exhausted');
    stage.latest.silence(false);
    expect([stage.said(), stage.paths(), stage.latest.isOver]).toEqual([[], ['direct 0'], false]);
  });

  test('will not do for a search when the two meet again', () => {
    for (const silent of [false, true]) {
      const stage = direct();
      stage.latest.silence(silent);
      stage.beginAgain();
      stage.said();
      stage.step(1);
      expect([stage.said(), stage.made.length]).toEqual(silent ? [[], 2] : [['direct by direct 1'], 1]);
    }
  });

  test('is not looked for a second time while that goes on, nor when it dies', () => {
    const stage = direct();
    const [older] = stage.made;
    older?.silence(true);
    stage.step(2, { search: 2 });
    stage.said();
    older?.silence(false);
    older?.silence(true);
    older?.die();
    expect([stage.said(), stage.latest.isOver]).toEqual([[], false]);
    stage.search.onPunchRelay(2, 'exhausted');
    stage.runtime.advance(10 * SECOND);
    expect(stage.said()).toEqual(['again 2']);
  });

  test('is looked for once it has died, if nothing was found meanwhile', () => {
    const stage = direct();
    stage.latest.silence(true);
    stage.search.onPunchRelay(2, 'exhausted');
    stage.said();
    stage.latest.die();
    expect(stage.said()).toEqual(['again 2']);
  });

  test('is nobody’s concern where a newer one has taken its place', () => {
    const stage = direct();
    const [older] = stage.made;
    stage.step(2, { search: 2 });
    stage.latest.up();
    stage.said();
    older?.silence(true);
    expect(stage.said()).toEqual([]);
  });
});

describe('a server that asks again', () => {
  test('hears of a path of the same search, and gets a new one otherwise', () => {
    const stage = direct();
    stage.step(2);
    expect([stage.said(), stage.made.length]).toEqual([['direct by direct 2'], 1]);
    stage.step(3, { search: 2 });
    expect([stage.said(), stage.made.length, stage.latest.told]).toEqual([[], 2, ['arm direct nobody 1']]);
    stage.step(4, { search: 2 });
    expect([stage.said(), stage.made.length]).toEqual([[], 2]);
    const lost = direct();
    lost.latest.die();
    lost.said();
    lost.step(2);
    expect([lost.said(), lost.made.length]).toEqual([[], 2]);
  });

  test('more than six times a minute comes to nothing', () => {
    const stage = begun();
    for (let search = 1; search <= 8; search++) stage.step(search, { search });
    expect([stage.said(), stage.made.length]).toEqual([['failed 7', 'failed 8'], 6]);
    // Steps of one search are no searches of their own.
    stage.step(9, { search: 6 });
    expect([stage.said(), stage.made.length]).toEqual([[], 6]);
    stage.runtime.advance(MINUTE / 6);
    stage.step(10, { search: 10 });
    expect([stage.said(), stage.made.length]).toEqual([[], 7]);
  });
});

describe('another place', () => {
  test('is a reason to ask again where the link is relayed: another socket, or another NAT', () => {
    const stage = begun();
    const { sockets } = stage.connection.standpoint ?? {};
    stage.search.onPunchRelay(1, 'unpredictable');
    stage.move({ ...(sockets && { sockets }), candidates: at(5000) });
    expect(stage.said()).toEqual(['at 5000']);
    stage.move({ candidates: at(5000) });
    expect(stage.said()).toEqual(['again 1']);
    const { sockets: same } = stage.connection.standpoint ?? {};
    stage.move({ ...(same && { sockets: same }), candidates: [], measured: { verdict: symmetricVerdict } });
    expect(stage.said()).toEqual(['again 1']);
    const verdict = { ...symmetricVerdict, arming_ttl: 3 };
    stage.move({ ...(same && { sockets: same }), candidates: [], measured: { verdict } });
    expect(stage.said()).toEqual([]);
  });

  test('is no reason to ask while a search is under way, or there is a path, or while there is no server', () => {
    const seeking = begun();
    seeking.step(1);
    const away = begun();
    away.search.onPunchRelay(1, 'unpredictable');
    away.connection.online = false;
    for (const stage of [seeking, direct(), begun(), away]) {
      stage.move({ candidates: [], measured: { verdict: symmetricVerdict } });
      expect(stage.said()).toEqual([]);
    }
  });

  test('may be out of reach of the path in use, which is looked at', () => {
    const stage = direct();
    const { sockets } = stage.connection.standpoint ?? {};
    stage.move({ ...(sockets && { sockets }), measured: { verdict: symmetricVerdict } });
    expect(stage.latest.told).not.toContain('check');
    stage.move();
    expect(stage.latest.told.at(-1)).toBe('check');
  });

  test('that is measured first after the server had given up is a reason, too', () => {
    const stage = searchStage();
    stage.connection.standpoint = undefined;
    stage.begin();
    stage.search.onPunchRelay(1, 'unmeasured');
    stage.move({ measured: { verdict: coneVerdict } });
    expect(stage.said()).toEqual(['at 5000', 'again 1']);
  });
});

describe('a server that was away', () => {
  test('is asked again for what it may have missed', () => {
    const relayed = begun();
    relayed.search.onPunchRelay(2, 'unpredictable');
    relayed.search.onOnline();
    expect(relayed.said()).toEqual(['at 5000', 'again 2']);
    const seeking = begun();
    seeking.step(1);
    for (const stage of [seeking, direct()]) {
      stage.search.onOnline();
      expect(stage.said()).toEqual(['at 5000']);
    }
  });
});
