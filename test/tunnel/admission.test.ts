import { expect, test } from 'vitest';
import { identityFingerprint } from '../../src/identity.ts';
import { Admission, parseIdentityFingerprint } from '../../src/tunnel/admission.ts';
import { thrownBy } from '../support/errors.ts';

const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const [first, second] = [identityFingerprint(one), identityFingerprint(two)];

test.each([
  ['nothing said', {}, [true, true]],
  ['one allowed', { allow: [first] }, [true, false]],
  ['in capitals', { allow: [` ${first.toUpperCase()}`] }, [true, false]],
  ['one denied', { deny: [first] }, [false, true]],
  ['deny wins', { allow: [first, second], deny: [second] }, [true, false]],
  ['nobody allowed', { allow: [] }, [false, false]],
])('%s', (_, rules, admitted) => {
  const admission = new Admission(rules);
  expect([admission.admits(one), admission.admits(two)]).toEqual(admitted);
});

test('whoever is refused is told peer_refused', () => {
  const admission = new Admission({ deny: [first] });
  expect(thrownBy(() => admission.check(one, 'my-game'))).toMatchObject({
    code: 'peer_refused',
    details: { name: 'my-game' },
  });
  admission.check(two, 'my-game');
});

test('only fingerprints of keys are rules: no address, no short name', () => {
  for (const text of [
    '192.0.2.7',
    '',
    first.slice(1),
    `${first}-0000`,
    first.replaceAll('-', ''),
    'AAAAAAAA',
  ]) {
    expect(parseIdentityFingerprint(text)).toBeUndefined();
    expect(thrownBy(() => new Admission({ allow: [text] })).message).toContain(
      `allow: '${text}' is not the fingerprint of a key`,
    );
  }
  expect(parseIdentityFingerprint(first)).toBe(first);
  expect(thrownBy(() => new Admission({ deny: new Array(1025).fill(first) })).message).toContain(
    'deny has more than 1024 entries',
  );
});
