import { describe, expect, it } from 'vitest';
import {
  deriveTunnelKey,
  equal,
  Identity,
  identityFingerprint,
  isTunnelName,
  isWeakSecret,
  mac,
  peerKey,
  secretHash,
  verifySignature,
} from '../src/identity.ts';
import { identityOf } from './support/identity.ts';
import { Random } from './support/random.ts';

describe('tunnel names', () => {
  it.each(['a', 'my-game', '0.9_z', 'x'.repeat(64)])('takes %j', (name) => {
    expect(isTunnelName(name)).toBe(true);
  });

  it.each(['', 'A', 'a b', 'a\n', 'é', '../x/', 'x'.repeat(65)])('refuses %j', (name) => {
    expect(isTunnelName(name)).toBe(false);
  });
});

describe('the tunnel key', () => {
  it('is the same however the secret is composed, and another for another name', async () => {
    const composed = await deriveTunnelKey('caf\u00e9 \u00c5', 'a');
    expect(await deriveTunnelKey('cafe\u0301 \u212b', 'a')).toEqual(composed);
    expect(await deriveTunnelKey('caf\u00e9 \u00c5', 'b')).not.toEqual(composed);
    expect(composed).toHaveLength(32);
  });

  it('gives the server and the peer different things', async () => {
    const key = await deriveTunnelKey('s', 'a');
    expect(secretHash(key)).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set([secretHash(key), peerKey(key).toString('hex'), key.toString('hex')]).size).toBe(3);
  });

  it.each([
    ['empty', ''],
    ['too long', 'x'.repeat(1025)],
    ['too long in UTF-8', '\u00e9'.repeat(513)],
    ['not Unicode', 'a\ud800b'],
  ])('refuses a secret that is %s', async (_reason, secret) => {
    await expect(deriveTunnelKey(secret, 'a')).rejects.toMatchObject({ code: 'secret_invalid' });
  });

  it('measures the secret after normalising it', async () => {
    // 1026 bytes decomposed, 684 composed.
    await expect(deriveTunnelKey('e\u0301'.repeat(342), 'a')).resolves.toHaveLength(32);
  });

  it('refuses a bad name before doing any work', async () => {
    await expect(deriveTunnelKey('s', 'Bad')).rejects.toMatchObject({ code: 'name_invalid' });
  });
});

describe('weak secrets', () => {
  it.each(['hunter2', 'a'.repeat(40), 'abcabcabcabcabcabc', 'x'.repeat(15)])('warns of %j', (secret) => {
    expect(isWeakSecret(secret)).toBe(true);
  });

  it.each(['correct horse battery', '9f86d081884c7d659a2feaa0c55ad015'])('is content with %j', (secret) => {
    expect(isWeakSecret(secret)).toBe(false);
  });
});

describe('mac', () => {
  const key = Buffer.alloc(32, 1);
  const bytes = (text: string) => Buffer.from(text);

  it('tells apart lists that join to the same bytes', () => {
    const macs = [
      mac(key, 'l', bytes('ab'), bytes('c')),
      mac(key, 'l', bytes('a'), bytes('bc')),
      mac(key, 'l', bytes('abc')),
      mac(key, 'la', bytes('bc')),
      mac(key, 'l', bytes('abc'), bytes('')),
    ];
    expect(new Set(macs.map((tag) => tag.toString('hex'))).size).toBe(macs.length);
  });

  it('is compared by content and length', () => {
    expect(equal(bytes('ab'), bytes('ab'))).toBe(true);
    expect(equal(bytes('ab'), bytes('ac'))).toBe(false);
    expect(equal(bytes('ab'), bytes('abc'))).toBe(false);
  });
});

describe('Identity', () => {
  it('survives export and import', () => {
    const identity = Identity.generate();
    const again = Identity.fromPem(identity.toPem());
    expect(again?.publicKey).toEqual(identity.publicKey);
    const signature = again?.sign('l', Buffer.from('x')) ?? Buffer.alloc(0);
    expect(verifySignature(identity.publicKey, signature, 'l', Buffer.from('x'))).toBe(true);
  });

  it.each(['', 'garbage', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'])(
    'is not made from %j',
    (pem) => {
      expect(Identity.fromPem(pem)).toBeUndefined();
    },
  );

  it('is not made from a key of another kind', async () => {
    const { createLinkCertificate } = await import('../src/certificate.ts');
    expect(Identity.fromPem((await createLinkCertificate()).key)).toBeUndefined();
  });

  it('has signatures that hold for one key, label and list of parts only', () => {
    const identity = identityOf(Buffer.alloc(32, 7));
    const part = Buffer.from('part');
    const signature = identity.sign('l', part);
    const { publicKey } = identity;
    expect(verifySignature(publicKey, signature, 'l', part)).toBe(true);
    expect(verifySignature(publicKey, signature, 'm', part)).toBe(false);
    expect(verifySignature(publicKey, signature, 'l', part, part)).toBe(false);
    expect(verifySignature(identityOf(Buffer.alloc(32, 8)).publicKey, signature, 'l', part)).toBe(false);
  });

  it('never throws on garbage', () => {
    const random = new Random(1);
    const { publicKey } = identityOf(Buffer.alloc(32, 7));
    for (let round = 0; round < 300; round++) {
      const size = random.pick([0, 31, 32, 33, 64]);
      expect(verifySignature(random.bytes(size), random.bytes(64), 'l')).toBe(false);
      expect(verifySignature(publicKey, random.bytes(random.integer(80)), 'l')).toBe(false);
    }
  });

  it('has a short fingerprint for people', () => {
    expect(identityFingerprint(Buffer.alloc(32))).toBe('6668-7aad-f862-bd77-6c8f');
  });
});
