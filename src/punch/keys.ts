import { hkdfSync } from 'node:crypto';
import { sha256 } from '../identity.ts';

/** A key for each direction: a side seals with its own and opens with the other's. 32 bytes each. */
export interface PunchKeys {
  readonly subscriber: Buffer;
  readonly publisher: Buffer;
}

export type Role = keyof PunchKeys;

/** What tells one link from every other: its id (16 bytes), both nonces and both certificate fingerprints (32 bytes each). */
export interface LinkTranscript {
  readonly link: Buffer;
  readonly offerNonce: Buffer;
  readonly answerNonce: Buffer;
  readonly offerFingerprint: Buffer;
  readonly answerFingerprint: Buffer;
}

export function otherRole(role: Role): Role {
  return role === 'subscriber' ? 'publisher' : 'subscriber';
}

/** The keys of a link's probes (HKDF-SHA-256, RFC 5869), from K_peer: only who knows the secret, and met on this link, has them. */
export function punchKeys(peerKey: Buffer, transcript: LinkTranscript): PunchKeys {
  const { link, offerNonce, answerNonce, offerFingerprint, answerFingerprint } = transcript;
  // All five have a size of their own, so that no two transcripts give the same bytes.
  const salt = sha256(link, offerNonce, answerNonce, offerFingerprint, answerFingerprint);
  const keyOf = (role: Role) =>
    Buffer.from(hkdfSync('sha256', peerKey, salt, `underpass/1 probe ${role}`, 32));
  return { subscriber: keyOf('subscriber'), publisher: keyOf('publisher') };
}
