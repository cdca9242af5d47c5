import { z } from 'zod';
import type { Allocation, Behaviour, NatType, NatVerdict } from '../nat/behaviour.ts';

const behaviour = z.enum([
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'none',
  'unknown',
]) satisfies z.ZodType<Behaviour>;

const port = z.int().min(0).max(65535);

const allocation = z.object({
  pattern: z.enum(['preserving', 'constant', 'sequential', 'block', 'random']),
  step: z.int().min(-65535).max(65535).nullable(),
  range: z.tuple([port, port]).readonly().nullable(),
}) satisfies z.ZodType<Allocation>;

const natType = z.enum([
  'open',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'cone',
  'symmetric',
  'unknown',
]) satisfies z.ZodType<NatType>;

/** What a client's NAT may be called. */
export const natTypes: readonly NatType[] = natType.options;

/** What a client says of its network. Like any unknown field, an address in it would be dropped. */
export const natVerdict = z.object({
  type: natType,
  mapping: behaviour,
  mapping_confidence: z.enum(['addresses', 'ports']).nullable(),
  filtering: behaviour,
  allocation: allocation.nullable(),
  poisonable: z.boolean().nullable(),
  hairpin: z.boolean().nullable(),
  cgnat: z.boolean().nullable(),
  udp_blocked: z.boolean(),
  arming_ttl: z.int().min(1).max(255).nullable(),
  port_mapped: z.boolean(),
  ipv6: z.boolean(),
}) satisfies z.ZodType<NatVerdict>;
