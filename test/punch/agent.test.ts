import { describe, expect, test } from 'vitest';
import { PunchAgent } from '../../src/punch/agent.ts';
import type { PunchOptions, PunchOutput } from '../../src/punch/agent-types.ts';
import { punchKeys } from '../../src/punch/keys.ts';
import { openProbe, type Probe, sealProbe } from '../../src/punch/probe.ts';
import { ProbeBudget } from '../../src/punch/probe-budget.ts';
import type { PeerCandidate } from '../../src/punch/remotes.ts';
import type { PunchStep } from '../../src/punch/strategy.ts';
import { Random } from '../support/random.ts';
import { coneVerdict, symmetricVerdict } from '../support/verdict.ts';

const random = new Random(1);
const transcript = {
  ...{ link: random.bytes(16), offerNonce: random.bytes(32), answerNonce: random.bytes(32) },
  ...{ offerFingerprint: random.bytes(32), answerFingerprint: random.bytes(32) },
};
const keys = punchKeys(random.bytes(32), transcript);
const STUN = { address: '45.80.9.10', port: 3478 };
const PEER = { address: '45.80.1.2', port: 5000 };
const EXCHANGE: PunchStep = { strategies: ['direct'], tries: 1 };

function agentWith(changes: Partial<PunchOptions> = {}): PunchAgent {
  return new PunchAgent({
    ...{ role: 'subscriber', link: transcript.link, keys, families: [4] },
    randomBytes: (size) => random.bytes(size),
    measured: { verdict: coneVerdict, reflexive: { address: '45.80.2.2', port: 5000 }, stun: STUN },
    ...changes,
  });
}

function outputs(agent: PunchAgent): PunchOutput[] {
  const all: PunchOutput[] = [];
  for (let output = agent.pollOutput(); output; output = agent.pollOutput()) all.push(output);
  return all;
}

/** All that it says until then, with the times of it. */
function runUntil(agent: PunchAgent, end: number): (readonly [number, PunchOutput])[] {
  const log: (readonly [number, PunchOutput])[] = [];
  for (let at = agent.pollTimeout(); at !== undefined && at <= end; at = agent.pollTimeout()) {
    agent.handleTimeout(at);
    for (const output of outputs(agent)) log.push([at, output]);
  }
  return log;
}

const peer = (n = 0): PeerCandidate => ({ kind: 'server-reflexive', ...PEER, port: PEER.port + n });
const types = (all: readonly PunchOutput[]) => all.map(({ type }) => type);

/** What the publisher says to the subscriber's last probe, or to whatever it wants. */
const seal = (probe: Probe) =>
  sealProbe(probe, { link: transcript.link, role: 'publisher', key: keys.publisher });

/** A probe of the publisher's. */
function fromPublisher(): Buffer {
  return seal({ transactionId: random.bytes(12) });
}

describe('an exchange', () => {
  test('arms with the measured TTL, says so, and begins when it is told to', () => {
    const agent = agentWith();
    agent.addCandidate(peer(), 0);
    agent.arm(EXCHANGE, 0);
    expect(outputs(agent)).toEqual([
      { type: 'send', socket: 0, to: expect.objectContaining(PEER), bytes: expect.any(Buffer), ttl: 2 },
      { type: 'armed' },
    ]);
    expect(runUntil(agent, 9000)).toEqual([]);
    agent.go(9000);
    const probes = runUntil(agent, 20_000);
    expect(probes.map(([at]) => at - 9000)).toEqual([0, 20, 60, 140, 300, 500, 700, 900, 1100, 2500]);
    expect(probes.at(-1)?.[1]).toEqual({ type: 'failed', reason: 'unanswered' });
    for (const [, output] of probes.slice(0, -1)) expect(output).not.toHaveProperty('ttl');
  });

  test('an unknown TTL is 2, and where nothing filters nothing is sent ahead', () => {
    const armedWith = (verdict: typeof coneVerdict) => {
      const agent = agentWith({ measured: { verdict } });
      agent.addCandidate(peer(), 0);
      agent.arm(EXCHANGE, 0);
      return outputs(agent).map((output) => (output.type === 'send' ? output.ttl : output.type));
    };
    expect(armedWith({ ...coneVerdict, arming_ttl: null })).toEqual([2, 'armed']);
    expect(armedWith({ ...coneVerdict, filtering: 'endpoint-independent' })).toEqual(['armed']);
  });

  test('an unknown TTL grows with each try where there are several', () => {
    const birthday: PunchStep = { strategies: ['birthday'], hard: 'subscriber', tries: 3 };
    const ttls = (cgnat: boolean | null) => {
      const verdict = { ...symmetricVerdict, arming_ttl: null, cgnat };
      const agent = agentWith({ measured: { verdict, reflexive: PEER } });
      agent.addCandidate(peer(), 0);
      return [0, 1, 2, 3].map((now) => {
        agent.arm(birthday, now, [PEER.address]);
        for (const output of outputs(agent)) if (output.type === 'open') agent.opened(output.socket, 1, now);
        return outputs(agent).find((output) => output.type === 'send')?.ttl;
      });
    };
    expect(ttls(null)).toEqual([2, 3, 4, 4]);
    expect(ttls(true)).toEqual([3, 4, 4, 4]);
  });

  test('takes up what is named late', () => {
    const agent = agentWith();
    agent.arm(EXCHANGE, 0);
    expect(types(outputs(agent))).toEqual(['armed']);
    agent.addCandidate(peer(), 10);
    expect(outputs(agent)).toMatchObject([{ type: 'send', ttl: 2 }]);
    agent.go(20);
    agent.addCandidate(peer(1), 30);
    const ports = runUntil(agent, 31).map(([, output]) => output.type === 'send' && output.to.port);
    expect(ports).toEqual([5000, 5001]);
  });

  test('uses the socket of each family, and no address of one that has none', () => {
    const agent = agentWith({ families: [4] });
    agent.addCandidate({ kind: 'host', address: '2a0e:a1::2', port: 5000 }, 0);
    agent.arm(EXCHANGE, 0);
    expect(types(outputs(agent))).toEqual(['armed']);
    const both = agentWith({ families: [4, 6] });
    both.addCandidate({ kind: 'host', address: '2a0e:a1::2', port: 5000 }, 0);
    both.arm(EXCHANGE, 0);
    expect(outputs(both)).toMatchObject([{ type: 'send', socket: 1 }, { type: 'armed' }]);
  });

  test('"go" before it is armed, or twice, does nothing', () => {
    const agent = agentWith();
    agent.go(0);
    expect(agent.pollTimeout()).toBeUndefined();
    agent.addCandidate(peer(), 0);
    agent.arm(EXCHANGE, 0);
    agent.go(0);
    runUntil(agent, 10);
    agent.go(10);
    expect(runUntil(agent, 19)).toEqual([]);
  });

  test('is abandoned when nobody says "go"', () => {
    const agent = agentWith();
    agent.arm(EXCHANGE, 0);
    outputs(agent);
    expect(runUntil(agent, 60_000)).toEqual([[10_000, { type: 'failed', reason: 'abandoned' }]]);
    expect(agent.pollTimeout()).toBeUndefined();
  });
});

describe('a publisher', () => {
  const own = { link: transcript.link, role: 'publisher', key: keys.publisher } as const;
  const nominate = (number: number) =>
    sealProbe(
      { transactionId: random.bytes(12), nomination: { number, strategy: 'direct' } },
      { link: transcript.link, role: 'subscriber', key: keys.subscriber },
    );
  const sent = (agent: PunchAgent) =>
    outputs(agent).flatMap((output) => (output.type === 'send' ? [openProbe(output.bytes, own)] : []));
  /** One that probes two addresses of the peer's, which have both answered. */
  const withTwo = (proven = true) => {
    const agent = agentWith({ role: 'publisher' });
    for (const n of [0, 1]) agent.addCandidate(peer(n), 0);
    agent.arm(EXCHANGE, 0);
    agent.go(0);
    outputs(agent);
    agent.handleTimeout(0);
    sent(agent).forEach((probe, n) => {
      if (probe === undefined || !proven) return;
      const answer = { transactionId: probe.transactionId, seen: PEER };
      const sender = { link: transcript.link, role: 'subscriber', key: keys.subscriber } as const;
      agent.receive(0, { ...PEER, port: PEER.port + n }, sealProbe(answer, sender), 40);
    });
    return agent;
  };

  test('follows nominations, the newest first, whatever the order of their arrival', () => {
    const agent = withTwo();
    agent.receive(0, PEER, nominate(2), 50);
    agent.receive(0, { ...PEER, port: 5001 }, nominate(1), 51);
    const ports = () =>
      outputs(agent).flatMap((output) => (output.type === 'selected' ? [output.remote.port] : []));
    expect(ports()).toEqual([5000]);
    agent.receive(0, { ...PEER, port: 5001 }, nominate(3), 52);
    expect(ports()).toEqual([5001]);
  });

  test('agrees to a pair only when it is proven', () => {
    const agent = withTwo(false);
    agent.receive(0, PEER, nominate(1), 50);
    expect(sent(agent).map((probe) => probe?.nomination)).toEqual([undefined, undefined]);
    expect(agent.isProven(0, PEER, 50)).toBe(false);
    const proven = withTwo();
    proven.receive(0, PEER, nominate(1), 50);
    expect(sent(proven)[0]?.nomination).toMatchObject({ number: 1 });
  });

  test('that has a valid pair waits a moment longer for its nomination', () => {
    const agent = withTwo();
    const log = runUntil(agent, 60_000);
    expect(log.at(-1)).toEqual([4000, { type: 'failed', reason: 'unanswered' }]);
  });
});

describe('limits against our own server and peer', () => {
  test('16 addresses, 10 probes each, the one to arm among them', () => {
    const agent = agentWith();
    const taken = Array.from({ length: 50 }, (_, n) => agent.addCandidate(peer(n), 0));
    expect(taken.filter(Boolean)).toHaveLength(16);
    agent.arm(EXCHANGE, 0);
    const all = outputs(agent);
    agent.go(0);
    all.push(...runUntil(agent, 60_000).map(([, output]) => output));
    const perPort = new Map<number, number>();
    for (const output of all) {
      if (output.type === 'send') perPort.set(output.to.port, (perPort.get(output.to.port) ?? 0) + 1);
    }
    expect([...perPort.values()]).toEqual(Array.from({ length: 16 }, () => 10));
  });

  /** Probes of a step that is never answered. */
  const probesOf = (agent: PunchAgent, start: number, vouched: readonly string[] = []) => {
    agent.arm(EXCHANGE, start, vouched);
    const all = outputs(agent);
    agent.go(start);
    all.push(...runUntil(agent, start + 9000).map(([, output]) => output));
    return all.filter(({ type }) => type === 'send').length;
  };

  test('in a minute, however many steps there are', () => {
    const agent = agentWith();
    agent.addCandidate(peer(), 0);
    expect([0, 10_000, 50_000, 61_000].map((start) => probesOf(agent, start))).toEqual([10, 0, 0, 10]);
  });

  test('and however many searches', () => {
    const budget = new ProbeBudget();
    const counts = [0, 10_000, 70_000].map((start) => {
      const agent = agentWith({ budget });
      for (let n = 0; n < 16; n++) agent.addCandidate(peer(n + 16 * (start / 10_000)), start);
      return probesOf(agent, start);
    });
    expect(counts).toEqual([160, 0, 160]);
  });

  test('but for an address where the server has seen the peer: as many again in each step', () => {
    const agent = agentWith();
    agent.addCandidate(peer(), 0);
    expect([0, 10_000].map((start) => probesOf(agent, start, [PEER.address]))).toEqual([11, 11]);
  });

  test('12 steps', () => {
    const agent = agentWith();
    const reasons: string[] = [];
    for (let i = 0; i < 20; i++) {
      agent.arm(EXCHANGE, i);
      for (const output of outputs(agent)) if (output.type === 'failed') reasons.push(output.reason);
    }
    expect(reasons).toEqual(Array.from({ length: 8 }, () => 'exhausted'));
  });

  test('six predicted ports, at an address that may be probed, once', () => {
    const bracket: PunchStep = { strategies: ['bracket'], hard: 'publisher', tries: 1 };
    const armed = (address: string, port: number) => {
      const agent = agentWith();
      agent.addCandidate(peer(), 0);
      agent.arm(bracket, 0, ['45.80.1.2', '45.80.1.3', '192.168.1.3', '224.0.0.1']);
      const ports = Array.from({ length: 20 }, (_, i) => port + i);
      agent.predict({ address, ports, strategy: 'bracket' }, 0);
      agent.predict({ address, ports: [9000], strategy: 'bracket' }, 0);
      return types(outputs(agent));
    };
    expect(armed('45.80.1.2', 5000)).toEqual([...Array.from({ length: 6 }, () => 'send'), 'armed']);
    expect(armed('45.80.1.2', 1)).toEqual(['armed']);
    // What the peer has not named before as its own may be anybody's.
    for (const address of ['224.0.0.1', '45.80.1.3', '192.168.1.3']) expect(armed(address, 5000)).toEqual([]);
  });

  test.each([
    ['the server has not seen the peer at all', []],
    ['it has seen the peer elsewhere', ['45.80.1.3']],
  ])('predictions are void where %s', (_, vouched) => {
    const [bracket, birthday] = (['bracket', 'birthday'] as const).map((way) => {
      const agent = agentWith();
      agent.addCandidate(peer(), 0);
      agent.arm({ strategies: [way], hard: 'publisher', tries: 1 }, 0, vouched);
      return agent;
    });
    bracket?.predict({ address: PEER.address, ports: [5000], strategy: 'bracket' }, 0);
    birthday?.predict({ address: PEER.address, first: 1024, last: 65_535 }, 0);
    for (const agent of [bracket, birthday]) {
      if (agent === undefined) throw new Error('no agent');
      expect(outputs(agent)).toEqual([]);
      expect(runUntil(agent, 60_000)).toEqual([[2500, { type: 'failed', reason: 'untold' }]]);
    }
  });

  test('what the server vouches for counts for the step that it comes with', () => {
    const bracket: PunchStep = { strategies: ['bracket'], hard: 'publisher', tries: 2 };
    const agent = agentWith();
    agent.addCandidate(peer(), 0);
    agent.arm(bracket, 0, [PEER.address]);
    agent.arm(bracket, 1);
    agent.predict({ address: PEER.address, ports: [5000], strategy: 'bracket' }, 1);
    expect(outputs(agent)).toEqual([]);
  });

  test('a range only where one is expected, and 1,500 probes in it', () => {
    const birthday: PunchStep = { strategies: ['birthday'], hard: 'publisher', tries: 1 };
    const range = { address: '45.80.1.2', first: 1024, last: 65_535 };
    const searching = agentWith();
    searching.addCandidate(peer(), 0);
    searching.arm(birthday, 0, ['45.80.1.2', '127.0.0.1']);
    searching.predict({ ...range, first: 1 }, 0);
    searching.predict({ ...range, last: 1000 }, 0);
    searching.predict({ ...range, address: '127.0.0.1' }, 0);
    expect(outputs(searching)).toEqual([]);
    searching.predict(range, 0);
    searching.go(0);
    const log = [...outputs(searching), ...runUntil(searching, 60_000).map(([, output]) => output)];
    const probes = log.filter(({ type }) => type === 'send').length;
    expect(probes).toBeLessThanOrEqual(1500);
    expect(probes).toBeGreaterThan(1000);
    const exchanging = agentWith();
    exchanging.arm(EXCHANGE, 0);
    exchanging.predict(range, 0);
    exchanging.go(0);
    expect(types(outputs(exchanging))).toEqual(['armed']);
    expect(types(runUntil(exchanging, 60_000).map(([, output]) => output))).toEqual(['failed']);
  });

  test('the peer’s own probes are answered one for one, and probed back ten times at most', () => {
    const agent = agentWith();
    let sent = 0;
    for (let i = 0; i < 100; i++) {
      agent.receive(0, PEER, fromPublisher(), i);
      sent += outputs(agent).length;
    }
    sent += runUntil(agent, 60_000).length;
    expect(sent).toBeLessThanOrEqual(100 + 20);
  });

  test('64 paths at a time', () => {
    const agent = agentWith();
    agent.addCandidate(peer(), 0);
    const answered = Array.from({ length: 100 }, (_, socket) => {
      agent.receive(socket, PEER, fromPublisher(), 0);
      return outputs(agent).length > 0;
    });
    expect(answered.filter(Boolean)).toHaveLength(64);
  });

  test('only eight addresses that the peer has not named are answered at all', () => {
    const agent = agentWith();
    const answered = Array.from({ length: 30 }, (_, i) => {
      agent.receive(0, { ...PEER, port: 6000 + i }, fromPublisher(), 0);
      return outputs(agent).length > 0;
    });
    expect(answered.filter(Boolean)).toHaveLength(8);
  });
});

describe('sockets', () => {
  const bracket: PunchStep = { strategies: ['bracket'], hard: 'subscriber', tries: 1 };
  const measured = { verdict: symmetricVerdict, stun: STUN };

  test('are asked for, used in one burst, and closed at the end', () => {
    const agent = agentWith({ measured });
    agent.addCandidate(peer(), 0);
    agent.arm(bracket, 0);
    expect(outputs(agent)).toEqual([2, 3, 4].map((socket) => ({ type: 'open', socket, family: 4 })));
    for (const socket of [2, 3, 4]) agent.opened(socket, 40_000 + socket, 1);
    expect(outputs(agent)).toMatchObject([
      { type: 'send', socket: 2, to: STUN },
      { type: 'send', socket: 3, to: PEER, ttl: 2 },
      { type: 'send', socket: 4, to: STUN },
    ]);
    const log = runUntil(agent, 5000).map(([, output]) => output);
    expect(log.filter(({ type }) => type === 'close')).toHaveLength(3);
    expect(log.at(-1)).toEqual({ type: 'failed', reason: 'unmeasured' });
  });

  test('that come too late are closed, and those that do not come are a failure', () => {
    const agent = agentWith({ measured });
    agent.addCandidate(peer(), 0);
    agent.arm(bracket, 0);
    outputs(agent);
    for (const socket of [2, 3]) agent.opened(socket, 40_000, 1);
    agent.failed(4, 1);
    expect(types(outputs(agent))).toEqual(['close', 'close', 'failed']);
    agent.opened(5, 40_000, 2);
    expect(outputs(agent)).toEqual([{ type: 'close', socket: 5 }]);
  });

  test.each(['bracket', 'birthday'] as const)(
    'are asked for by a %s only once the peer has said where it is',
    (way) => {
      const reflexive = { address: '45.80.2.2', port: 5000 };
      const step: PunchStep = { strategies: [way], hard: 'subscriber', tries: 1 };
      const agent = agentWith({ measured: { ...measured, reflexive } });
      agent.arm(step, 0, [PEER.address]);
      expect(outputs(agent)).toEqual([]);
      agent.addCandidate({ ...peer(), kind: 'mapped' }, 50);
      expect(outputs(agent)).toEqual([]);
      agent.addCandidate(peer(1), 90);
      expect(new Set(types(outputs(agent)))).toEqual(new Set(['open']));
      const other = agentWith({ measured: { ...measured, reflexive } });
      other.arm(step, 0);
      expect(runUntil(other, 10_000)).toEqual([[2500, { type: 'failed', reason: 'untold' }]]);
    },
  );

  test('are not even asked for where the server has not seen the peer', () => {
    const agent = agentWith({ measured: { ...measured, reflexive: { address: '45.80.2.2', port: 5000 } } });
    agent.addCandidate(peer(), 0);
    agent.arm({ strategies: ['birthday'], hard: 'subscriber', tries: 1 }, 0, ['45.80.1.3']);
    expect(outputs(agent)).toEqual([{ type: 'failed', reason: 'unvouched' }]);
  });

  test('what lacks a measurement fails at once', () => {
    const agent = agentWith({ measured: { verdict: symmetricVerdict } });
    agent.arm(bracket, 0);
    expect(outputs(agent)).toEqual([{ type: 'failed', reason: 'unmeasured' }]);
    const random = agentWith({ measured: { verdict: symmetricVerdict } });
    random.arm({ strategies: ['birthday'], hard: 'subscriber', tries: 1 }, 0);
    expect(outputs(random)).toEqual([{ type: 'failed', reason: 'unmeasured' }]);
  });
});

test('after close nothing is said or answered', () => {
  const agent = agentWith();
  agent.addCandidate(peer(), 0);
  agent.arm(EXCHANGE, 0);
  agent.go(0);
  agent.close();
  expect(outputs(agent)).toEqual([]);
  expect(agent.receive(0, PEER, fromPublisher(), 1)).toBe(false);
  expect(agent.pollTimeout()).toBeUndefined();
  agent.arm(EXCHANGE, 2);
  expect(outputs(agent)).toEqual([]);
});

test('what is no probe is somebody else’s', () => {
  expect(agentWith().receive(0, PEER, random.bytes(96), 0)).toBe(false);
});
