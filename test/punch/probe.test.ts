import { describe, expect, test } from 'vitest';
import { BINDING, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { packetKind } from '../../src/net/packet-kind.ts';
import { type LinkTranscript, punchKeys, type Role } from '../../src/punch/keys.ts';
import { openProbe, type Probe, type Sender, sealProbe } from '../../src/punch/probe.ts';
import { STRATEGIES } from '../../src/punch/strategies.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

const random = new Random(1);
const peerKey = random.bytes(32);
const transcript: LinkTranscript = {
  link: random.bytes(16),
  offerNonce: random.bytes(32),
  answerNonce: random.bytes(32),
  offerFingerprint: random.bytes(32),
  answerFingerprint: random.bytes(32),
};
const keys = punchKeys(peerKey, transcript);
const sender = (role: Role): Sender => ({ link: transcript.link, role, key: keys[role] });

const transactionId = random.bytes(12);
const seen4 = { address: '45.80.1.2', port: 40_000 };
const seen6 = { address: '2a0e:a1::2', port: 40_000 };
const nomination = { number: 513, strategy: 'bracket' } as const;
const PROBES: readonly Probe[] = [
  { transactionId },
  { transactionId, nomination },
  { transactionId, seen: seen4 },
  { transactionId, seen: seen6, nomination },
  { transactionId, nomination: { number: 65_535, strategy: 'host' }, seen: seen4 },
];

describe('a probe', () => {
  test.each(PROBES)('is read as it was written: %j', (probe) => {
    for (const role of ['subscriber', 'publisher'] as const) {
      const bytes = sealProbe(probe, sender(role));
      expect(openProbe(bytes, sender(role))).toEqual({ nomination: undefined, seen: undefined, ...probe });
      expect(packetKind(bytes)).toBe('stun');
      expect(bytes[0]).toBeLessThanOrEqual(3);
    }
  });

  test('names every strategy', () => {
    for (const strategy of STRATEGIES) {
      const probe = { transactionId, nomination: { number: 1, strategy } };
      expect(openProbe(sealProbe(probe, sender('subscriber')), sender('subscriber'))).toMatchObject(probe);
    }
  });

  test('is no Binding request, which servers would answer', () => {
    const message = decodeStun(sealProbe({ transactionId }, sender('subscriber')));
    expect(message?.class).toBe('request');
    expect(message?.method).not.toBe(BINDING);
  });

  test('gets an answer that is no larger', () => {
    const sizes = PROBES.map((probe) => sealProbe(probe, sender('publisher')).length);
    expect(sizes).toEqual([96, 96, 84, 96, 84]);
  });

  test('does not keep the datagram that it came in', () => {
    const bytes = sealProbe({ transactionId }, sender('subscriber'));
    const probe = openProbe(bytes, sender('subscriber'));
    bytes.fill(0);
    expect(probe?.transactionId).toEqual(transactionId);
  });
});

describe('only the peer’s own probes are opened', () => {
  const bytes = sealProbe({ transactionId, nomination }, sender('subscriber'));

  test.each<[string, Sender]>([
    ['another role', sender('publisher')],
    ['the other direction’s key', { ...sender('subscriber'), key: keys.publisher }],
    ['another role under the same key', { ...sender('publisher'), key: keys.subscriber }],
    ['another link', { ...sender('subscriber'), link: random.bytes(16) }],
    ['another secret', { ...sender('subscriber'), key: punchKeys(random.bytes(32), transcript).subscriber }],
  ])('%s', (_, other) => {
    expect(openProbe(bytes, other)).toBeUndefined();
  });

  test.each([...Object.keys(transcript)] as (keyof LinkTranscript)[])('the keys depend on %s', (part) => {
    const other = punchKeys(peerKey, { ...transcript, [part]: random.bytes(transcript[part].length) });
    expect(other.subscriber).not.toEqual(keys.subscriber);
    expect(other.publisher).not.toEqual(keys.publisher);
  });

  test('each direction has its own key', () => {
    expect(keys.subscriber).not.toEqual(keys.publisher);
    expect(keys.subscriber).toHaveLength(32);
  });

  test('one bit is enough to be refused, wherever it is', () => {
    for (const probe of PROBES) {
      const whole = sealProbe(probe, sender('publisher'));
      for (let bit = 0; bit < 8 * whole.length; bit++) {
        const changed = Buffer.from(whole);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        ensure(openProbe(changed, sender('publisher')) === undefined, `bit ${bit}`);
      }
    }
  });

  test('mutated ones, and those whose FINGERPRINT was made right again', () => {
    forSeeds(3000, (seeded) => {
      const whole = sealProbe(seeded.pick([PROBES[0] as Probe, ...PROBES]), sender('publisher'));
      const changed = mutate(whole, seeded);
      if (changed.equals(whole)) return;
      ensure(openProbe(changed, sender('publisher')) === undefined, 'refused');
      const message = decodeStun(mutate(whole.subarray(0, -8), seeded));
      if (message === undefined) return;
      const mended = encodeStun(message);
      ensure(mended.equals(whole) || !openProbe(mended, sender('publisher')), 'refused with its CRC');
    });
  });

  test('attributes that no MAC covers cannot be added', () => {
    const message = decodeStun(bytes);
    const added = encodeStun({
      ...{ class: 'request', method: message?.method ?? 0, transactionId },
      attributes: [...(message?.attributes ?? []), [0x8022, Buffer.from('more')]],
    });
    expect(openProbe(added, sender('subscriber'))).toBeUndefined();
  });

  test('nor does anything else come through', () => {
    for (const junk of [
      Buffer.alloc(0),
      Buffer.alloc(96),
      random.bytes(96),
      encodeStun({ class: 'request', transactionId }),
    ]) {
      expect(openProbe(junk, sender('subscriber'))).toBeUndefined();
    }
  });
});
