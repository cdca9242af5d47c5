import { UnderpassError } from '../errors.ts';
import { equal, sha256, verifySignature } from '../identity.ts';
import type { Instant } from '../machine.ts';
import { RateLimiter, rateKey } from '../net/rate-limit.ts';
import { type FromClient, PROTOCOL_VERSION } from './messages.ts';
import type { Registration } from './registry.ts';

const AUTH_LABEL = 'underpass/1 auth';
const NO_HASH = Buffer.alloc(32);

/** Who may come in, and who knows a tunnel's secret. Counts failures of either kind against the address. */
export class Gatekeeper {
  #tokens: readonly Buffer[];
  readonly #failures: RateLimiter;

  /** Without tokens anyone may connect. */
  constructor(tokens: readonly string[], failuresPerMinute: number) {
    this.#tokens = tokens.map(digest);
    this.#failures = new RateLimiter(failuresPerMinute);
  }

  reload(tokens: readonly string[], failuresPerMinute: number): void {
    this.#tokens = tokens.map(digest);
    this.#failures.setRate(failuresPerMinute);
  }

  /**
   * Checks token and proof of identity. Returns which token it was, counted from 1, or 0 where none is needed. Throws
   * `protocol_unsupported`, `rate_limited`, `auth_failed` or `identity_invalid`.
   */
  authenticate(auth: FromClient<'auth'>, challenge: Buffer, address: string, now: Instant): number {
    if (auth.protocol !== PROTOCOL_VERSION) throw new UnderpassError('protocol_unsupported');
    this.#admit(address, now);
    const token = this.#findToken(auth.token ?? '');
    if (this.#tokens.length > 0 && token === 0) throw this.#failed('auth_failed', address, now);
    const identity = Buffer.from(auth.identity, 'base64url');
    const signature = Buffer.from(auth.signature, 'base64url');
    if (!verifySignature(identity, signature, AUTH_LABEL, challenge)) {
      throw this.#failed('identity_invalid', address, now);
    }
    return token;
  }

  /** Throws `rate_limited` before looking at the hash, or `invalid_secret`. */
  checkSecret(keyId: number, hash: string, registration: Registration, address: string, now: Instant): void {
    this.#admit(address, now);
    const registered = registration.secrets.find((secret) => secret.key_id === keyId);
    const expected = registered === undefined ? NO_HASH : Buffer.from(registered.hash, 'hex');
    const matches = equal(Buffer.from(hash, 'hex'), expected);
    if (!matches || registered === undefined) throw this.#failed('invalid_secret', address, now);
  }

  #admit(address: string, now: Instant): void {
    if (this.#failures.exhausted(rateKey(address), now)) throw new UnderpassError('rate_limited');
  }

  #failed(code: 'auth_failed' | 'identity_invalid' | 'invalid_secret', address: string, now: Instant) {
    this.#failures.take(rateKey(address), now);
    return new UnderpassError(code);
  }

  /** Compares with every token, whichever matches, so that time tells nothing. */
  #findToken(token: string): number {
    const given = digest(token);
    let found = 0;
    this.#tokens.forEach((known, index) => {
      if (equal(given, known)) found = index + 1;
    });
    return found;
  }
}

/** Of one length for every token, so that lengths cannot be learned either. */
function digest(token: string): Buffer {
  return sha256(Buffer.from(token, 'utf8'));
}
