import { z } from 'zod';
import { UnderpassError } from '../errors.ts';
import { equal, type Identity, mac, sha256, verifySignature } from '../identity.ts';
import { offeredPorts, type PortRange } from './offered-ports.ts';

/** Bytes that an offer or an answer may have. */
export const MAX_OFFER_BYTES = 4096;
const VERSION = 1;
const LINK_ID_SIZE = 16;

const OFFER = 'underpass/1 offer';
const ANSWER = 'underpass/1 answer';
const SUBSCRIBER = Buffer.from('subscriber');
const PUBLISHER = Buffer.from('publisher');

const MODES = ['auto', 'relay', 'direct'] as const;
/** Which paths a side wants: whatever works, only the relay, or only a direct one. */
export type LinkMode = (typeof MODES)[number];

/** What a client can do that not every client can. Unknown ones are ignored. */
export type Capability = 'direct';

/** What both sides say about themselves, decoded. */
export interface PeerProof {
  /** 32 random bytes. */
  readonly nonce: Buffer;
  /** SHA-256 of the DER of the certificate that this side made for the link. */
  readonly fingerprint: Buffer;
  /** The side's Ed25519 public key. */
  readonly identity: Buffer;
  readonly mode: LinkMode;
  readonly capabilities: readonly string[];
}

/** A verified offer. */
export interface Offer extends PeerProof {
  readonly keyId: number;
  /** The id of the link that this one is to carry on, 16 raw bytes. Undefined: it is a new one. */
  readonly resumes: Buffer | undefined;
  /** The offer as it was received, which the answer's MAC covers. */
  readonly bytes: Buffer;
}

/** A verified answer. */
export interface Answer extends PeerProof {
  /** What may be reached. Channels and datagrams count the ports of all of these, from 0. */
  readonly ports: readonly PortRange[];
}

/** What this side brings to a new link. */
interface Own {
  /** K_peer of the tunnel. */
  readonly peerKey: Buffer;
  /** The link id, 16 raw bytes. */
  readonly link: Buffer;
  readonly nonce: Buffer;
  readonly fingerprint: Buffer;
  readonly identity: Identity;
  readonly mode: LinkMode;
  readonly capabilities: readonly Capability[];
}

/** What the other side sent, with what is needed to check it. */
interface Received {
  readonly peerKey: Buffer;
  /** The tunnel's name, for the error. */
  readonly name: string;
  readonly link: Buffer;
  readonly mac: Buffer;
}

const base64url = (size: number) =>
  z
    .string()
    .refine((text) => Buffer.from(text, 'base64url').toString('base64url') === text)
    .transform((text) => Buffer.from(text, 'base64url'))
    .refine((bytes) => bytes.length === size);

const proof = {
  mode: z.enum(MODES),
  capabilities: z.array(z.string()),
  nonce: base64url(32),
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .transform((digits) => Buffer.from(digits, 'hex')),
  identity: base64url(32),
  signature: base64url(64),
};

const offerSchema = z.object({
  versions: z.array(z.int()),
  key_id: z.int().min(0).max(255),
  resumes: base64url(LINK_ID_SIZE).optional(),
  ...proof,
});
const answerSchema = z.object({ version: z.int(), ports: offeredPorts, ...proof });

/** Read before the rest, because another version may look different. */
const offeredVersions = z.object({ versions: z.array(z.int()) }).transform(({ versions }) => versions);
const answeredVersions = z.object({ version: z.int() }).transform(({ version }) => [version]);

/** What a subscriber sends to open a link, or to carry on the one that it `resumes`. `nonce` is 32 random bytes of the caller's. */
export function createOffer(own: Own & { readonly keyId: number; readonly resumes?: Buffer | undefined }): {
  offer: Buffer;
  mac: Buffer;
} {
  const offer = seal({
    versions: [VERSION],
    capabilities: own.capabilities,
    mode: own.mode,
    key_id: own.keyId,
    resumes: own.resumes?.toString('base64url'),
    ...prove(own, own.identity.sign(OFFER, own.link, own.nonce, own.fingerprint)),
  });
  return { offer, mac: mac(own.peerKey, OFFER, SUBSCRIBER, own.link, offer) };
}

/**
 * Checks an offer as a publisher does, before it allocates, reveals or sends anything. Throws `peer_unverified`,
 * `protocol_unsupported`, or `protocol_error` when a peer that knows the secret made no sense.
 */
export function verifyOffer(received: Received & { readonly offer: Buffer }): Offer {
  const { peerKey, name, link, offer } = received;
  authenticate(name, offer, received.mac, mac(peerKey, OFFER, SUBSCRIBER, link, offer));
  const { key_id: keyId, resumes, versions: _, signature, ...proof } = openOffer(offer);
  const { nonce, fingerprint, identity } = proof;
  if (!verifySignature(identity, signature, OFFER, link, nonce, fingerprint)) throw unverified(name);
  return { ...proof, keyId, resumes, bytes: offer };
}

/** What a publisher sends back. `offer` has been verified. */
export function createAnswer(own: Own & { readonly offer: Offer; readonly ports: readonly PortRange[] }): {
  answer: Buffer;
  mac: Buffer;
} {
  const { offer, link, nonce, fingerprint } = own;
  const signature = own.identity.sign(ANSWER, link, offer.nonce, offer.fingerprint, nonce, fingerprint);
  const { capabilities, mode, ports } = own;
  const answer = seal({ version: VERSION, capabilities, mode, ports, ...prove(own, signature) });
  return { answer, mac: mac(own.peerKey, ANSWER, PUBLISHER, sha256(offer.bytes), answer) };
}

/** Checks an answer to our own `offer`, the bytes of `createOffer`. Throws as `verifyOffer` does. */
export function verifyAnswer(
  received: Received & { readonly offer: Buffer; readonly answer: Buffer },
): Answer {
  const { peerKey, name, link, answer } = received;
  authenticate(name, answer, received.mac, mac(peerKey, ANSWER, PUBLISHER, sha256(received.offer), answer));
  const offer = openOffer(received.offer);
  const { version: _, signature, ...proof } = open(answer, answeredVersions, answerSchema);
  const { nonce, fingerprint, identity } = proof;
  const signed = [link, offer.nonce, offer.fingerprint, nonce, fingerprint];
  if (!verifySignature(identity, signature, ANSWER, ...signed)) throw unverified(name);
  return proof;
}

function prove(own: Own, signature: Buffer) {
  return {
    nonce: own.nonce.toString('base64url'),
    fingerprint: own.fingerprint.toString('hex'),
    identity: own.identity.publicKey.toString('base64url'),
    signature: signature.toString('base64url'),
  };
}

function seal(message: object): Buffer {
  return Buffer.from(JSON.stringify(message), 'utf8');
}

/** Nothing is parsed before this has passed: only a holder of the secret can reach the parser. */
function authenticate(name: string, message: Buffer, received: Buffer, expected: Buffer): void {
  if (message.length > MAX_OFFER_BYTES || !equal(received, expected)) throw unverified(name);
}

function openOffer(offer: Buffer) {
  return open(offer, offeredVersions, offerSchema);
}

function open<T>(message: Buffer, versions: z.ZodType<number[]>, schema: z.ZodType<T>): T {
  const json = parseJson(message);
  if (!parse(versions, json).includes(VERSION)) throw new UnderpassError('protocol_unsupported');
  return parse(schema, json);
}

function parseJson(message: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(message));
  } catch (cause) {
    throw new UnderpassError('protocol_error', { problem: 'an offer or answer is not JSON' }, { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new UnderpassError('protocol_error', { problem: 'an offer or answer is malformed' });
}

function unverified(name: string): UnderpassError {
  return new UnderpassError('peer_unverified', { name });
}
