import { describe, expect, test } from 'vitest';
import type { LinkMode } from '../../../src/signaling/offer.ts';
import { agree, directUnavailable, type Wish } from '../../../src/tunnel/link/link-mode.ts';

const MODES: readonly LinkMode[] = ['auto', 'direct', 'relay'];
const BOOLEANS = [true, false];

const wishes = MODES.flatMap((mode) => BOOLEANS.map((canDirect): Wish => ({ mode, canDirect })));
const cases = wishes.flatMap((own) =>
  wishes.flatMap((peer) => BOOLEANS.map((serverAllows) => ({ own, peer, serverAllows }))),
);

/** Where everybody can and may: each cell is what a side says whose mode is the row's, to a peer with the column's. */
const TABLE: Readonly<Record<LinkMode, Readonly<Record<LinkMode, string>>>> = {
  auto: { auto: 'both', direct: 'direct only', relay: 'peer-off' },
  direct: { auto: 'direct only', direct: 'direct only', relay: 'nothing: peer-off' },
  relay: { auto: 'off', direct: 'nothing: off', relay: 'off' },
};

function inWords({ mayRelay, refusal }: ReturnType<typeof agree>): string {
  if (refusal === undefined) return mayRelay ? 'both' : 'direct only';
  return mayRelay ? refusal : `nothing: ${refusal}`;
}

describe('what is agreed on', () => {
  test.each(MODES.flatMap((own) => MODES.map((peer) => [own, peer] as const)))('%s with %s', (own, peer) => {
    const agreed = agree({ mode: own, canDirect: true }, { mode: peer, canDirect: true }, true);
    expect(inWords(agreed)).toBe(TABLE[own][peer]);
  });

  test('the first reason counts: modes before abilities, ours before theirs, the server’s last', () => {
    const reasons = cases.map(({ own, peer, serverAllows }) => ({
      refusal: agree(own, peer, serverAllows).refusal,
      wanted: [
        own.mode === 'relay' && 'off',
        peer.mode === 'relay' && 'peer-off',
        !own.canDirect && 'unsupported',
        !peer.canDirect && 'peer-unsupported',
        !serverAllows && 'server-off',
      ].find((reason) => reason !== false),
    }));
    for (const { refusal, wanted } of reasons) expect(refusal).toBe(wanted);
    expect(reasons.filter(({ refusal }) => refusal === undefined)).toHaveLength(4);
  });

  test('no server and no ability makes a link relayed that one side wants direct', () => {
    for (const { own, peer, serverAllows } of cases) {
      const wanted = own.mode !== 'direct' && peer.mode !== 'direct';
      expect(agree(own, peer, serverAllows).mayRelay).toBe(wanted);
    }
  });

  test('both ends come to the same, each from its own side', () => {
    for (const { own, peer, serverAllows } of cases) {
      const [here, there] = [agree(own, peer, serverAllows), agree(peer, own, serverAllows)];
      expect(there.mayRelay).toBe(here.mayRelay);
      expect(there.refusal === undefined).toBe(here.refusal === undefined);
    }
  });
});

test('where it cannot be had, it is said by name, in the words of people', () => {
  const { code, message } = directUnavailable('my-game', 'peer-off');
  expect(code).toBe('direct_unavailable');
  expect(message).toContain("'my-game'");
  expect(message).toContain('the other side has asked for mode relay');
  expect(directUnavailable('my-game', 'too-new').message).toContain('too-new');
});
