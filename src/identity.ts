import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign as ed25519Sign,
  verify as ed25519Verify,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { UnderpassError } from './errors.ts';

// docs/protocol.md sections 1 and 10 say the same, with test vectors.

const MAX_SECRET_BYTES = 1024;
/** scrypt needs 128 · N · r = 32 MiB, which is also Node's limit, so it must be raised. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 };

const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Whether `text` may be the name of a tunnel: 1 to 64 characters of a-z, 0-9, dot, dash and underscore. */
export function isTunnelName(text: string): boolean {
  return /^[a-z0-9._-]{1,64}$/.test(text);
}

/**
 * K, from which everything that a secret proves is derived. Takes about 100 ms and 32 MiB: once per tunnel.
 * Throws `name_invalid` or `secret_invalid`.
 */
export async function deriveTunnelKey(secret: string, name: string): Promise<Buffer> {
  if (!isTunnelName(name)) throw new UnderpassError('name_invalid', { name });
  const password = Buffer.from(secret.normalize('NFC'), 'utf8');
  // A lone surrogate has no UTF-8 form; it would silently become U+FFFD and equal other broken secrets.
  if (password.length === 0 || password.length > MAX_SECRET_BYTES || /\p{Surrogate}/u.test(secret)) {
    throw new UnderpassError('secret_invalid');
  }
  return new Promise((resolve, reject) => {
    scrypt(password, `underpass/1${name}`, 32, SCRYPT, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/** Whether a secret could be guessed: shorter than 16 characters, or made of fewer than 6 different ones. */
export function isWeakSecret(secret: string): boolean {
  const characters = Array.from(secret.normalize('NFC'));
  return characters.length < 16 || new Set(characters).size < 6;
}

/** What the server is given to compare, in hex. It says nothing about `peerKey`. */
export function secretHash(tunnelKey: Buffer): string {
  return sha256(Buffer.from('server'), tunnelKey).toString('hex');
}

/** K_peer, with which peers authenticate each other. */
export function peerKey(tunnelKey: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', tunnelKey, '', 'peer', 32));
}

export function sha256(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** HMAC-SHA-256 over the label and the parts, each with its length, so that no two lists are taken for one another. */
export function mac(key: Buffer, label: string, ...parts: readonly Buffer[]): Buffer {
  return createHmac('sha256', key).update(encode(label, parts)).digest();
}

/** Compares in constant time; only the lengths can be learned from how long it takes. */
export function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** An Ed25519 key pair: who this user is to one server, and to the peers met there. */
export class Identity {
  readonly #privateKey: KeyObject;
  /** The raw key of RFC 8032, 32 bytes. */
  readonly publicKey: Buffer;

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    this.publicKey = Buffer.from(spki.subarray(ED25519_SPKI_PREFIX.length));
  }

  static generate(): Identity {
    return new Identity(generateKeyPairSync('ed25519').privateKey);
  }

  /** Reads a PKCS#8 PEM; undefined when it holds anything but an Ed25519 private key. */
  static fromPem(pem: string): Identity | undefined {
    try {
      const key = createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' });
      return key.asymmetricKeyType === 'ed25519' ? new Identity(key) : undefined;
    } catch {
      return undefined;
    }
  }

  /** The private key as PKCS#8 PEM. */
  toPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  /** Signs the label and the parts, encoded as for `mac`. 64 bytes. */
  sign(label: string, ...parts: readonly Buffer[]): Buffer {
    return ed25519Sign(null, encode(label, parts), this.#privateKey);
  }
}

/** Whether `signature` is `Identity.sign` of the same label and parts. Garbage is false, never an exception. */
export function verifySignature(
  publicKey: Buffer,
  signature: Buffer,
  label: string,
  ...parts: readonly Buffer[]
): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    const spki = Buffer.concat([ED25519_SPKI_PREFIX, publicKey]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return ed25519Verify(null, encode(label, parts), key, signature);
  } catch {
    return false;
  }
}

/** An identity for people to compare: the first 80 bits of its SHA-256, as `3f2a-91bc-0d4e-77a1-c2f0`. */
export function identityFingerprint(publicKey: Buffer): string {
  const digits = sha256(publicKey).toString('hex', 0, 10);
  return digits.replace(/(.{4})(?=.)/g, '$1-');
}

function encode(label: string, parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(label, 'utf8'), ...parts].flatMap((part) => [length(part), part]));
}

function length(part: Buffer): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(part.length);
  return bytes;
}
