import { deriveTunnelKey, peerKey } from '../../src/identity.ts';
import { type PunchKeys, punchKeys } from '../../src/punch/keys.ts';
import { type LinkTranscript, type PeerBody, PeerMessages } from '../../src/signaling/peer-message.ts';
import { NAME, SECRET } from './e2e.ts';
import type { Message } from './e2e-hostile-server.ts';

/** What somebody between the peers who also knows the secret can say in their names: the worst peer that there is. */
export class LinkSecrets {
  #offer: { readonly link: Buffer; readonly nonce: Buffer; readonly fingerprint: Buffer } | undefined;
  #transcript: LinkTranscript | undefined;

  /** Takes what it needs from the control messages of a link. */
  watch(message: Message): void {
    if (message.offer !== undefined) this.#offer = { link: bytes(message.link), ...partOf(message.offer) };
    if (message.answer === undefined || this.#offer === undefined) return;
    const { link, nonce, fingerprint } = this.#offer;
    const answer = partOf(message.answer);
    this.#transcript = {
      link,
      ...{ offerNonce: nonce, offerFingerprint: fingerprint },
      ...{ answerNonce: answer.nonce, answerFingerprint: answer.fingerprint },
    };
  }

  get link(): Buffer {
    return this.transcript.link;
  }

  get transcript(): LinkTranscript {
    if (this.#transcript === undefined) throw new Error('the peers have not met');
    return this.#transcript;
  }

  /** The keys of the probes on this link. @param secret a wrong one gives wrong keys */
  async probeKeys(secret = SECRET): Promise<PunchKeys> {
    return punchKeys(await this.#peerKey(secret), this.transcript);
  }

  /** `p2p_message`s as that side would send them; the first has number 1. */
  async messages(role: 'subscriber' | 'publisher', bodies: readonly PeerBody[]): Promise<Message[]> {
    const { transcript } = this;
    const peer = new PeerMessages({ peerKey: await this.#peerKey(SECRET), transcript, role, name: NAME });
    return bodies.map((content) => {
      const { body, mac } = peer.seal(content);
      const [text, tag] = [body.toString('base64url'), mac.toString('base64url')];
      return { type: 'p2p_message', link: transcript.link.toString('base64url'), body: text, mac: tag };
    });
  }

  async #peerKey(secret: string): Promise<Buffer> {
    return peerKey(await deriveTunnelKey(secret, NAME));
  }
}

function partOf(encoded: string): { nonce: Buffer; fingerprint: Buffer } {
  const { nonce, fingerprint } = JSON.parse(Buffer.from(encoded, 'base64url').toString());
  return { nonce: bytes(nonce), fingerprint: Buffer.from(fingerprint, 'hex') };
}

function bytes(encoded = ''): Buffer {
  return Buffer.from(encoded, 'base64url');
}
