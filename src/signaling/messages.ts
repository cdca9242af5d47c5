import { z } from 'zod';
import { type ErrorCode, UnderpassError } from '../errors.ts';
import { isTunnelName } from '../identity.ts';
import type { SourceClaim } from '../nat/source-proofs.ts';
import { base64url, link, mac, opaque } from './fields.ts';
import { natVerdict } from './nat-schema.ts';
import { MAX_OFFER_BYTES } from './offer.ts';
import {
  p2pAgain,
  p2pArmed,
  p2pBytes,
  p2pGo,
  p2pMessage,
  p2pRelay,
  p2pResult,
  p2pStep,
} from './punch-schema.ts';
import { address, stunGreeting } from './stun-schema.ts';

// docs/protocol.md section 3, message by message. Unknown fields are dropped.

export const PROTOCOL_VERSION = 1;

const requestId = z.string().regex(/^[\x20-\x7e]{1,64}$/);
const name = z.string().refine(isTunnelName, 'not a tunnel name');
const keyId = z.int().min(0).max(255);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const offer = opaque(MAX_OFFER_BYTES);
const version = z.string().max(64);
/** A peer may be newer and know codes that we do not. */
const code = z.string().regex(/^[a-z_]{1,64}$/);
const sentence = z.string().max(2048);
const count = z.int().positive();
const timestamp = z.number();
const secret = z.object({ key_id: keyId, hash });
/** Whether the client tells its peers addresses of its own network. */
const lan = z.boolean().optional();
/** Where the server's STUN has seen the client, and the proof that it was told of it. */
const seen = z.object({ address, proof: base64url(16) }).optional();

const auth = z.object({
  type: z.literal('auth'),
  protocol: z.int(),
  client_version: version,
  identity: base64url(32),
  signature: base64url(64),
  token: z.string().max(1024).optional(),
  resume: base64url(16).optional(),
});
const ping = z.object({ type: z.literal('ping'), timestamp });
const register = z.object({
  type: z.literal('register'),
  request_id: requestId,
  name,
  secrets: z
    .array(secret)
    .min(1)
    .max(8)
    .refine((secrets) => new Set(secrets.map((one) => one.key_id)).size === secrets.length, 'a key_id twice'),
  nat: natVerdict.optional(),
  lan,
  seen,
});
const unregister = z.object({ type: z.literal('unregister'), name });
const p2pConnect = z.object({
  type: z.literal('p2p_connect'),
  request_id: requestId,
  link,
  name,
  key_id: keyId,
  hash,
  offer,
  mac,
  wait: z.boolean(),
});
const p2pAnswerToServer = z.object({ type: z.literal('p2p_answer'), link, answer: offer, mac });
const p2pRefuse = z.object({ type: z.literal('p2p_refuse'), link, code });
const p2pClose = z.object({ type: z.literal('p2p_close'), link, code: code.optional() });
const openData = z.object({ type: z.literal('open_data'), request_id: requestId });
const nat = z.object({ type: z.literal('nat'), nat: natVerdict, lan, seen });

const hello = z.object({
  type: z.literal('hello'),
  protocol: z.array(z.int()).max(16),
  server_version: version,
  challenge: base64url(32),
  // Advice that no session depends on: nonsense in it is as good as none.
  stun: stunGreeting.optional().catch(undefined),
});
const authOk = z.object({
  type: z.literal('auth_ok'),
  session: base64url(16),
  resumed: z.boolean(),
  limits: z.object({ message_bytes: count, frame_bytes: count, streams_per_link: count }),
  /** What the client shows to the server's STUN, and to nobody else's. */
  voucher: base64url(16).optional(),
});
const authError = z.object({ type: z.literal('auth_error'), code, message: sentence });
const pong = z.object({ type: z.literal('pong'), timestamp });
const registered = z.object({ type: z.literal('registered'), request_id: requestId, name });
const replaced = z.object({ type: z.literal('replaced'), name });
const p2pWaiting = z.object({ type: z.literal('p2p_waiting'), request_id: requestId });
const p2pOffer = z.object({
  type: z.literal('p2p_offer'),
  link,
  name,
  key_id: keyId,
  offer,
  mac,
  peer_address: z.string().max(64),
  direct: z.boolean(),
});
const p2pAnswer = z.object({
  type: z.literal('p2p_answer'),
  request_id: requestId,
  link,
  answer: offer,
  mac,
  direct: z.boolean(),
});
const dataReady = z.object({
  type: z.literal('data_ready'),
  request_id: requestId,
  session_id: z.string().regex(/^[0-9a-f]{32}$/),
});
const error = z.object({
  type: z.literal('error'),
  request_id: requestId.optional(),
  code,
  message: sentence,
});

const clientMessage = z.discriminatedUnion('type', [
  auth,
  ping,
  register,
  unregister,
  p2pConnect,
  p2pAnswerToServer,
  p2pRefuse,
  p2pClose,
  openData,
  nat,
  p2pMessage,
  p2pArmed,
  p2pResult,
  p2pAgain,
  p2pBytes,
]);
const serverMessage = z.discriminatedUnion('type', [
  hello,
  authOk,
  authError,
  pong,
  registered,
  replaced,
  p2pWaiting,
  p2pOffer,
  p2pAnswer,
  p2pClose,
  dataReady,
  error,
  p2pMessage,
  p2pStep,
  p2pGo,
  p2pRelay,
]);

/** What a client sends. */
export type ClientMessage = z.infer<typeof clientMessage>;
/** What a server sends. */
export type ServerMessage = z.infer<typeof serverMessage>;
/** One client message, by its type. */
export type FromClient<Type extends ClientMessage['type']> = Extract<ClientMessage, { type: Type }>;
/** One server message, by its type. */
export type FromServer<Type extends ServerMessage['type']> = Extract<ServerMessage, { type: Type }>;
/** Where a server answers STUN. Without addresses: at the host under which it was reached. */
export type StunGreeting = NonNullable<FromServer<'hello'>['stun']>;

/** Reads what a client sent. Throws `protocol_error`. */
export function parseClientMessage(text: string): ClientMessage {
  return parse(clientMessage, text);
}

/** Reads what a server sent. Throws `protocol_error`. */
export function parseServerMessage(text: string): ServerMessage {
  return parse(serverMessage, text);
}

/** What a client is told of an error. The text of an unexpected one could be anything, and is for the log only. */
export function wordsFor({ code, message }: UnderpassError): { code: ErrorCode; message: string } {
  return { code, message: code === 'internal' ? 'something went wrong on the server' : message };
}

/** The complaint about a message that its sender could not send now. */
export function outOfTurn({ type }: ClientMessage | ServerMessage): UnderpassError {
  return new UnderpassError('protocol_error', { problem: `${type} out of turn` });
}

/** How a client says where the server's STUN has seen it. */
export function seenOf({ address, proof }: SourceClaim): FromClient<'nat'>['seen'] {
  return { address, proof: proof.toString('base64url') };
}

export function encode(message: ClientMessage | ServerMessage): string {
  return JSON.stringify(message);
}

function parse<T>(schema: z.ZodType<T>, text: string): T {
  const result = schema.safeParse(parseJson(text));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  // The path and zod's words, never the value: it may be a secret.
  throw new UnderpassError('protocol_error', {
    problem: `${issue?.path.join('.') || 'message'}: ${issue?.message}`,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnderpassError('protocol_error', { problem: 'not JSON' });
  }
}
