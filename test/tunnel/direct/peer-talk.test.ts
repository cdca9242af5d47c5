import { describe, expect, test } from 'vitest';
import { type PeerCandidate, PeerMessages, type SealedMessage } from '../../../src/signaling/peer-message.ts';
import { PeerTalk } from '../../../src/tunnel/direct/peer-talk.ts';
import { peerSecrets } from '../../support/peer-secrets.ts';

const candidate = (n: number): PeerCandidate => ({ kind: 'host', address: '192.168.1.2', port: 5000 + n });
const candidates = (count: number, first = 0) =>
  Array.from({ length: count }, (_, i) => candidate(first + i));

function talk(role: 'subscriber' | 'publisher') {
  const sent: SealedMessage[] = [];
  const heard: string[] = [];
  const options = { ...peerSecrets(), role, name: 'my-game' };
  const one = new PeerTalk(options, {
    send: (message) => sent.push(message),
    onCandidate: ({ port }) => heard.push(`${port}`),
    onPrediction: (step, prediction) =>
      heard.push(`step ${step}: ${'ports' in prediction ? prediction.ports : prediction.first}`),
    onTampering: ({ code }) => heard.push(code),
  });
  return Object.assign(one, { sent, events: heard });
}

/** Both ends, and a way to let everything through. */
function talks() {
  const [near, far] = [talk('subscriber'), talk('publisher')];
  const deliver = () => {
    for (const message of near.sent.splice(0)) far.receive(message);
    for (const message of far.sent.splice(0)) near.receive(message);
  };
  return { near, far, deliver };
}

const ports = (all: Iterable<PeerCandidate>) => [...all].map(({ port }) => port - 5000);

describe('addresses', () => {
  test('are told once each', () => {
    const { near, far, deliver } = talks();
    near.tell(candidates(2));
    near.tell(candidates(2));
    expect(near.sent).toHaveLength(1);
    near.tell(candidates(3));
    near.tell([{ ...candidate(0), kind: 'mapped' }]);
    deliver();
    expect(far.events).toEqual(['5000', '5001', '5002', '5000']);
  });

  test('go in as many messages as they need, and nobody is told more than 64 in all', () => {
    const { near, far, deliver } = talks();
    near.tell(candidates(60));
    expect(near.sent).toHaveLength(8);
    near.tell(candidates(60, 60));
    near.tell(candidates(60, 120));
    deliver();
    expect(far.events).toHaveLength(64);
    expect(near.sent).toEqual([]);
  });

  test('are remembered, the latest 16 of them', () => {
    const { near, far, deliver } = talks();
    near.tell(candidates(20));
    deliver();
    expect(ports(far.heard)).toEqual(Array.from({ length: 16 }, (_, i) => i + 4));
  });

  test('that are named again are the latest ones', () => {
    const far = talk('publisher');
    const peer = new PeerMessages({ ...peerSecrets(), role: 'subscriber', name: 'my-game' });
    for (const all of [candidates(16), [candidate(0)], [candidate(16)]]) {
      for (const message of peer.sealCandidates(all)) far.receive(message);
    }
    expect(ports(far.heard)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 16]);
  });
});

test('predictions come with the number of their step', () => {
  const { near, far, deliver } = talks();
  near.predict(3, { address: '45.80.1.2', ports: [6000, 6001], strategy: 'bracket' });
  far.predict(4, { address: '45.80.2.2', first: 7000, last: 8000 });
  deliver();
  expect([far.events, near.events]).toEqual([['step 3: 6000,6001'], ['step 4: 7000']]);
});

describe('somebody between the peers', () => {
  test('who changes a message is named once, and the rest goes on', () => {
    const { near, far, deliver } = talks();
    near.tell(candidates(1));
    near.predict(1, { address: '45.80.1.2', first: 1, last: 2 });
    const [first, second] = near.sent.splice(0) as [SealedMessage, SealedMessage];
    far.receive({ ...first, body: Buffer.from(String(first.body).replace('5000', '5001')) });
    far.receive({ ...second, mac: first.mac });
    far.receive({ ...second, mac: Buffer.alloc(3) });
    expect(far.events).toEqual(['peer_unverified']);
    far.receive(first);
    near.tell(candidates(2));
    deliver();
    expect(far.events).toEqual(['peer_unverified', '5000', '5001']);
  });

  test('can keep messages back, and can neither repeat nor reorder them', () => {
    const { near, far } = talks();
    for (let i = 0; i < 4; i++) near.tell([candidate(i)]);
    const [first, second, third, fourth] = near.sent as [SealedMessage, ...SealedMessage[]];
    far.receive(second as SealedMessage);
    far.receive(fourth as SealedMessage);
    expect(far.events).toEqual(['5001', '5003']);
    for (const old of [first, second, third, fourth]) far.receive(old as SealedMessage);
    expect(far.events).toEqual(['5001', '5003', 'peer_unverified']);
    expect(ports(far.heard)).toEqual([1, 3]);
  });

  test('cannot send a message back to whom it is from', () => {
    const { near } = talks();
    near.tell(candidates(1));
    near.receive(near.sent[0] as SealedMessage);
    expect([near.events, [...near.heard]]).toEqual([['peer_unverified'], []]);
  });
});

test('a peer that makes no sense is named once, and ends nothing', () => {
  const far = talk('publisher');
  const peer = new PeerMessages({ ...peerSecrets(), role: 'subscriber', name: 'my-game' });
  for (let i = 0; i < 3; i++) {
    far.receive(peer.seal({ kind: 'candidates', candidates: [] }));
    far.receive(peer.seal({ kind: 'prediction', step: 1, prediction: { address: 'x', first: 1, last: 2 } }));
  }
  for (const message of peer.sealCandidates(candidates(1))) far.receive(message);
  expect(far.events).toEqual(['protocol_error', '5000']);
});
