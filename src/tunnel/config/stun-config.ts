import { z } from 'zod';
import { LOWEST_PORT } from '../../net/endpoint.ts';
import { MAX_ANNOUNCED } from '../../signaling/stun-schema.ts';
import * as is from './schema.ts';

/** Where a server answers STUN. */
export interface StunConfig {
  /** Where it listens, wildcards among them. Undefined: on every address of the machine, of which clients are told none. */
  readonly addresses: readonly string[] | undefined;
  /** What clients are told in the place of each of `addresses`. */
  readonly publicAddresses: readonly string[] | undefined;
  /** Of UDP; 0 lets the system choose. */
  readonly ports: readonly number[];
  /** Somebody asked for it: a server that cannot listen there does not start. */
  readonly required: boolean;
}

const DEFAULT_PORTS = [3478, 3479];

const port = is
  .port({ zero: true })
  .refine(
    (value) => value <= 0 || value >= LOWEST_PORT,
    `must be 0 or at least ${LOWEST_PORT}, as clients ask no lower port`,
  );

/** `stun` in a server's file. */
export const stunSchema = z
  .strictObject({
    enabled: z.boolean().optional(),
    addresses: z.array(is.ipAddress).min(1).max(MAX_ANNOUNCED).optional(),
    public_addresses: z.array(is.ipAddress).optional(),
    ports: z.array(port).min(1).max(MAX_ANNOUNCED).optional(),
  })
  .refine(
    ({ addresses, public_addresses: announced }) =>
      announced === undefined || announced.length === addresses?.length,
    { path: ['public_addresses'], error: 'must have one address for each of stun.addresses' },
  );

/** Fills in the defaults. Undefined when it is turned off, by `enabled` of the command line or by the file. */
export function toStunConfig(
  file: z.infer<typeof stunSchema> | undefined,
  enabled: boolean | undefined,
): StunConfig | undefined {
  if (!(enabled ?? file?.enabled ?? true)) return undefined;
  return {
    addresses: file?.addresses,
    publicAddresses: file?.public_addresses,
    ports: file?.ports ?? DEFAULT_PORTS,
    required: file !== undefined,
  };
}
