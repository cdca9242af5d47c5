import * as tls from 'node:tls';
import { fingerprintOf, formatFingerprint, parseFingerprint } from '../certificate.ts';
import { UnderpassError } from '../errors.ts';
import { equal } from '../identity.ts';
import { CIPHERS } from './ciphers.ts';

let secureContext: tls.SecureContext | undefined;

/** Which server certificates a client accepts (docs/protocol.md section 2). */
export interface Trust {
  /** SHA-256 of the leaf's DER, 32 bytes. When given, only this certificate counts, whoever signed it. */
  readonly fingerprint?: Buffer | undefined;
  /** Accepts any certificate, and plain `ws://` to any host. */
  readonly insecure?: boolean | undefined;
}

/** What a user said about trusting a server. Throws `argument_invalid`. */
export function trustOf(said: {
  readonly serverFingerprint?: string | undefined;
  readonly insecure?: boolean | undefined;
}): Trust {
  const { serverFingerprint: text, insecure } = said;
  const fingerprint = text === undefined ? undefined : parseFingerprint(text);
  if (text !== undefined && fingerprint === undefined) {
    throw new UnderpassError('argument_invalid', { problem: `'${text}' is not a SHA-256 fingerprint` });
  }
  return { fingerprint, insecure };
}

/** Throws `server_untrusted` unless the policy accepts the certificate that this socket's handshake showed. */
export function checkServerCertificate(socket: tls.TLSSocket, host: string, trust: Trust): void {
  const leaf = socket.getPeerX509Certificate();
  const seen = leaf === undefined ? undefined : fingerprintOf(leaf.raw);
  const problem = findProblem(socket, seen, trust);
  if (problem === undefined) return;
  const fingerprint = seen === undefined ? 'missing' : formatFingerprint(seen);
  throw new UnderpassError('server_untrusted', { host, problem, fingerprint });
}

/**
 * How a client does TLS. The handshake accepts every certificate so that one that is refused can be shown: whoever uses
 * these options must call `checkServerCertificate` before sending a byte.
 */
export function clientTlsOptions(): tls.ConnectionOptions {
  // Made once: parsing every root certificate takes longer than the connection.
  secureContext ??= tls.createSecureContext({ minVersion: 'TLSv1.2', ciphers: CIPHERS, ...roots() });
  return { secureContext, rejectUnauthorized: false };
}

function findProblem(socket: tls.TLSSocket, seen: Buffer | undefined, trust: Trust): string | undefined {
  if (trust.fingerprint !== undefined) {
    return seen !== undefined && equal(seen, trust.fingerprint) ? undefined : 'not the expected fingerprint';
  }
  if (trust.insecure || socket.authorized) return undefined;
  const reason: unknown = socket.authorizationError;
  const code = reason instanceof Error ? reason.message : String(reason);
  return PROBLEMS[code] ?? code;
}

/** OpenSSL's words and Node's, for people. */
const PROBLEMS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'signed by an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'signed by an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'signed by an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'signed by an unknown authority',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'made for another host',
};

/** Node 22 can read the system's roots; before that its own and NODE_EXTRA_CA_CERTS, the default, must do. */
function roots(): { ca?: string[] } {
  const { getCACertificates } = tls as {
    getCACertificates?: (store: 'default' | 'system') => string[];
  };
  if (getCACertificates === undefined) return {};
  return { ca: [...getCACertificates('default'), ...getCACertificates('system')] };
}
