import { z } from 'zod';
import { link, mac, opaque } from './fields.ts';
import { MAX_BODY_BYTES } from './peer-message.ts';
import { address } from './stun-schema.ts';

// The search for a direct path: docs/protocol.md section 3, message by message.

/** Bytes that a client may report at a time: more than any network carries until the next report. */
const MAX_REPORTED_BYTES = 2 ** 40;

/** Addresses of one party that a server may vouch for. */
const MAX_VOUCHED = 4;

/** A server may be newer and know strategies and reasons that we do not. */
const word = z.string().regex(/^[a-z0-9-]{1,32}$/);
/** Counts up, and stays far from where numbers get inexact. */
const number = z
  .int()
  .min(0)
  .max(2 ** 31);

const plan = z.object({
  strategies: z.array(word).min(1).max(16).readonly(),
  hard: z.enum(['subscriber', 'publisher', 'both']).optional(),
  tries: z.int().min(1).max(16),
});

/** From one client to the other, through the server, which could read it, but cannot change it. */
export const p2pMessage = z.object({
  type: z.literal('p2p_message'),
  link,
  body: opaque(MAX_BODY_BYTES),
  mac,
});

export const p2pStep = z.object({
  type: z.literal('p2p_step'),
  link,
  search: number,
  step: number,
  attempt: number,
  plan,
  /** Where the server's STUN has seen the other party. */
  vouched: z.array(address).max(MAX_VOUCHED).readonly().optional(),
});
export const p2pGo = z.object({ type: z.literal('p2p_go'), link, step: number });
export const p2pRelay = z.object({ type: z.literal('p2p_relay'), link, search: number, reason: word });

export const p2pArmed = z.object({ type: z.literal('p2p_armed'), link, step: number });
export const p2pResult = z.object({
  type: z.literal('p2p_result'),
  link,
  step: number,
  result: z.enum(['direct', 'failed', 'refused']),
  strategy: word.optional(),
  milliseconds: z.int().min(0).max(3_600_000).optional(),
});
export const p2pAgain = z.object({ type: z.literal('p2p_again'), link, search: number });
export const p2pBytes = z.object({
  type: z.literal('p2p_bytes'),
  link,
  received: z.int().min(0).max(MAX_REPORTED_BYTES),
});
