import { UnderpassError } from '../errors.ts';
import { identityFingerprint } from '../identity.ts';

export interface AdmissionRules {
  /** Fingerprints of the only identities that may connect. Undefined: whoever knows the secret. */
  readonly allow?: readonly string[] | undefined;
  /** Fingerprints of those that may not, whatever `allow` says. */
  readonly deny?: readonly string[] | undefined;
}

/** Fingerprints in one list. */
export const MAX_FINGERPRINTS = 1024;

const FINGERPRINT = /^(?:[0-9a-f]{4}-){4}[0-9a-f]{4}$/;

/** The fingerprint of an identity, as underpass prints it. Case does not matter. Undefined when it is none. */
export function parseIdentityFingerprint(text: string): string | undefined {
  const fingerprint = text.trim().toLowerCase();
  return FINGERPRINT.test(fingerprint) ? fingerprint : undefined;
}

/**
 * Whom a publisher serves. It asks for keys alone, which peers prove to have: an address is a claim of the server's, and nothing rests
 * on it.
 */
export class Admission {
  readonly #allow: ReadonlySet<string> | undefined;
  readonly #deny: ReadonlySet<string>;

  /** Throws `argument_invalid`. */
  constructor({ allow, deny = [] }: AdmissionRules) {
    this.#allow = allow && fingerprints('allow', allow);
    this.#deny = fingerprints('deny', deny);
  }

  /** @param identity the Ed25519 public key of a peer that has proved to have it */
  admits(identity: Buffer): boolean {
    const fingerprint = identityFingerprint(identity);
    return !this.#deny.has(fingerprint) && (this.#allow?.has(fingerprint) ?? true);
  }

  /** Throws `peer_refused` for one that is not admitted. @param name the tunnel's, for the error */
  check(identity: Buffer, name: string): void {
    if (!this.admits(identity)) throw new UnderpassError('peer_refused', { name });
  }
}

function fingerprints(list: string, texts: readonly string[]): ReadonlySet<string> {
  const refuse = (problem: string) => new UnderpassError('argument_invalid', { problem });
  if (texts.length > MAX_FINGERPRINTS) throw refuse(`${list} has more than ${MAX_FINGERPRINTS} entries`);
  return new Set(
    texts.map((text) => {
      const fingerprint = parseIdentityFingerprint(text);
      if (fingerprint === undefined) {
        throw refuse(`${list}: '${text}' is not the fingerprint of a key, such as 3f2a-91bc-0d4e-77a1-c2f0`);
      }
      return fingerprint;
    }),
  );
}
