import { hkdfSync } from 'node:crypto';
import { z } from 'zod';
import { UnderpassError } from '../errors.ts';
import { equal, mac, sha256 } from '../identity.ts';
import type { Role } from './punch-plan.ts';

/** Bytes that the body of a message may have. */
export const MAX_BODY_BYTES = 1024;
/** Addresses in one message: as many as always fit. */
export const MAX_CANDIDATES = 8;
/** Ports in one prediction. */
const MAX_PORTS = 16;

const MESSAGE = 'underpass/1 message';

const address = z.union([z.ipv4(), z.ipv6()]);
const port = z.int().min(1).max(65535);

const candidate = z.object({ kind: z.enum(['host', 'mapped', 'server-reflexive']), address, port });
const ports = z.object({
  address,
  ports: z.array(port).min(1).max(MAX_PORTS).readonly(),
  strategy: z.enum(['bracket', 'extrapolate', 'sweep']),
});
const range = z.object({ address, first: port, last: port }).refine(({ first, last }) => first <= last);

const candidates = z.object({
  kind: z.literal('candidates'),
  candidates: z.array(candidate).min(1).max(MAX_CANDIDATES).readonly(),
});
const prediction = z.object({
  kind: z.literal('prediction'),
  step: z.int().min(0),
  prediction: z.union([ports, range]),
});

const envelope = z.object({ number: z.int().positive(), kind: z.string() });
const known = z.discriminatedUnion('kind', [candidates, prediction]);
const kinds: ReadonlySet<string> = new Set(['candidates', 'prediction'] satisfies PeerBody['kind'][]);

/** An address at which a peer may be reached. Nothing but its form has been checked. */
export type PeerCandidate = z.infer<typeof candidate>;
/** What peers tell each other: where they are, and where they will be in the server's step of that number. */
export type PeerBody = z.infer<typeof known>;

/** A message as it goes through the server. */
export interface SealedMessage {
  readonly body: Buffer;
  /** 32 bytes. */
  readonly mac: Buffer;
}

/** What tells one link from every other: its id (16 bytes), both nonces and both certificate fingerprints (32 bytes each). */
export interface LinkTranscript {
  readonly link: Buffer;
  readonly offerNonce: Buffer;
  readonly answerNonce: Buffer;
  readonly offerFingerprint: Buffer;
  readonly answerFingerprint: Buffer;
}

export interface PeerMessagesOptions {
  /** K_peer of the tunnel. */
  readonly peerKey: Buffer;
  readonly transcript: LinkTranscript;
  /** Our own. */
  readonly role: Role;
  /** The tunnel's name, for errors. */
  readonly name: string;
}

interface Direction {
  readonly role: Buffer;
  readonly key: Buffer;
  /** Of the latest message; they begin with 1. */
  number: number;
}

/** One side of what the two ends of a link tell each other through a server that they do not trust (docs/protocol.md section 4). */
export class PeerMessages {
  readonly #name: string;
  readonly #sent: Direction;
  readonly #received: Direction;

  constructor({ peerKey, transcript, role, name }: PeerMessagesOptions) {
    const { link, offerNonce, answerNonce, offerFingerprint, answerFingerprint } = transcript;
    const salt = sha256(link, offerNonce, answerNonce, offerFingerprint, answerFingerprint);
    const direction = (sender: Role): Direction => ({
      role: Buffer.from(sender),
      key: Buffer.from(hkdfSync('sha256', peerKey, salt, `${MESSAGE} ${sender}`, 32)),
      number: 0,
    });
    this.#name = name;
    this.#sent = direction(role);
    this.#received = direction(role === 'subscriber' ? 'publisher' : 'subscriber');
  }

  seal(content: PeerBody): SealedMessage {
    const body = Buffer.from(JSON.stringify({ number: ++this.#sent.number, ...content }));
    return { body, mac: macOf(this.#sent, body) };
  }

  /** Addresses, in as many messages as they need. */
  sealCandidates(all: readonly PeerCandidate[]): SealedMessage[] {
    const messages: SealedMessage[] = [];
    for (let at = 0; at < all.length; at += MAX_CANDIDATES) {
      messages.push(this.seal({ kind: 'candidates', candidates: all.slice(at, at + MAX_CANDIDATES) }));
    }
    return messages;
  }

  /**
   * Checks a message and reads it. Undefined for one of a kind that only newer peers know. Throws `peer_unverified` when it is not the
   * peer's, or was there before, and `protocol_error` when the peer makes no sense.
   */
  open({ body, mac: given }: SealedMessage): PeerBody | undefined {
    // Nothing is parsed before this has passed: only the peer can reach the parser.
    if (body.length > MAX_BODY_BYTES || !equal(given, macOf(this.#received, body))) throw this.#unverified();
    const json = parseJson(body);
    const { number, kind } = parse(envelope, json);
    if (number <= this.#received.number) throw this.#unverified();
    this.#received.number = number;
    return kinds.has(kind) ? parse(known, json) : undefined;
  }

  #unverified(): UnderpassError {
    return new UnderpassError('peer_unverified', { name: this.#name });
  }
}

function macOf({ key, role }: Direction, body: Buffer): Buffer {
  return mac(key, MESSAGE, role, body);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new UnderpassError('protocol_error', { problem: "a peer's message is not JSON" }, { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new UnderpassError('protocol_error', { problem: "a peer's message is malformed" });
}
