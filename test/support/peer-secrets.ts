import type { LinkTranscript } from '../../src/signaling/peer-message.ts';
import { Random } from './random.ts';

/** What both ends of one link know. */
export function peerSecrets(seed = 1): { readonly peerKey: Buffer; readonly transcript: LinkTranscript } {
  const random = new Random(seed);
  const transcript = {
    link: random.bytes(16),
    offerNonce: random.bytes(32),
    answerNonce: random.bytes(32),
    offerFingerprint: random.bytes(32),
    answerFingerprint: random.bytes(32),
  };
  return { transcript, peerKey: random.bytes(32) };
}
