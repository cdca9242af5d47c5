import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../../log.ts';
import { type ListenAddress, parseListenAddress } from '../../net/address.ts';
import { defaultLimits, type ServerLimits } from '../../signaling/limits.ts';
import * as is from './schema.ts';
import { type StunConfig, stunSchema, toStunConfig } from './stun-config.ts';
import { readYamlFile } from './yaml-file.ts';

/** Everything a server is told, with defaults filled in. */
export interface ServerConfig {
  readonly listen: ListenAddress;
  /** PEM files, as absolute paths. Undefined: the server makes a certificate and keeps it. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Empty: anyone may connect. */
  readonly tokens: readonly string[];
  /** Whether links may look for a direct path. */
  readonly directEnabled: boolean;
  /** Whether the server remembers for an hour what came of searches for direct paths, and leaves out what was in vain. */
  readonly rememberOutcomes: boolean;
  /** Undefined: it does not answer STUN. */
  readonly stun: StunConfig | undefined;
  /** Where `/metrics` and `/healthz` are served over HTTP. Undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly limits: ServerLimits;
  readonly logging: { readonly level: LogLevel; readonly format: LogFormat };
  /** Addresses and networks whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
}

/** What the command line says; it wins over the file. */
export interface ServerOverrides {
  readonly listen?: string | undefined;
  readonly tokens?: readonly string[] | undefined;
  readonly directEnabled?: boolean | undefined;
  readonly stunEnabled?: boolean | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly logFormat?: LogFormat | undefined;
}

const DEFAULT_LISTEN = '0.0.0.0:4040';

/**
 * A smaller message could not carry an offer, clients send `/_data` messages of up to 128 KiB and a few headers, and with
 * smaller buffers no link could open.
 */
const SMALLEST: Partial<Record<keyof ServerLimits, number>> = {
  message_bytes: 16 * 1024,
  frame_bytes: 256 * 1024,
  buffered_bytes_per_publisher: 640 * 1024,
  buffered_bytes: 640 * 1024,
};

/** Slower, the relay would stay shut for longer than a heartbeat waits for a sign of life. */
const SLOWEST = 64 * 1024;
const rate = z
  .int()
  .refine((bytes) => bytes === 0 || bytes >= SLOWEST, { error: `must be 0 or at least ${SLOWEST}` });

const limitNames = Object.keys(defaultLimits) as (keyof ServerLimits)[];
const limits = Object.fromEntries(
  limitNames.map((name) => [
    name,
    z
      .int()
      .min(SMALLEST[name] ?? 1)
      .default(defaultLimits[name]),
  ]),
) as Record<keyof ServerLimits, z.ZodDefault<z.ZodInt>>;

const schema = z.strictObject({
  listen: is.listenAddress.optional(),
  tls: z.strictObject({ cert: is.path, key: is.path }).optional(),
  auth: z.strictObject({ tokens: z.array(is.token).min(1).optional() }).optional(),
  p2p: z
    .strictObject({ direct_enabled: z.boolean().optional(), remember_outcomes: z.boolean().optional() })
    .optional(),
  stun: stunSchema.optional(),
  metrics: z.strictObject({ listen: is.plainAddress }).optional(),
  limits: z
    .strictObject({
      ...limits,
      bytes_per_second_per_tunnel: rate.default(defaultLimits.bytes_per_second_per_tunnel),
    })
    .optional(),
  logging: z
    .strictObject({ level: z.enum(LOG_LEVELS).optional(), format: z.enum(LOG_FORMATS).optional() })
    .optional(),
  trusted_proxies: z.array(is.network).optional(),
});

/**
 * Reads a server's file, or takes the defaults where there is none. Throws `file_unreadable`, `config_invalid`, or
 * `address_invalid` for a `listen` of the command line.
 */
export function loadServerConfig(path?: string, overrides: ServerOverrides = {}): ServerConfig {
  const file = path === undefined ? {} : readYamlFile(path, schema).value;
  const absolute = (name: string) => resolve(dirname(path ?? ''), name);
  const listen = parseListenAddress(overrides.listen ?? file.listen ?? DEFAULT_LISTEN);
  const metrics = file.metrics && parseListenAddress(file.metrics.listen);
  return {
    listen,
    tls: file.tls && { cert: absolute(file.tls.cert), key: absolute(file.tls.key) },
    tokens: overrides.tokens ?? file.auth?.tokens ?? [],
    directEnabled: overrides.directEnabled ?? file.p2p?.direct_enabled ?? true,
    rememberOutcomes: file.p2p?.remember_outcomes ?? true,
    stun: toStunConfig(file.stun, overrides.stunEnabled),
    metrics: metrics && { host: metrics.host, port: metrics.port },
    limits: file.limits ?? defaultLimits,
    logging: {
      level: overrides.logLevel ?? file.logging?.level ?? 'info',
      format: overrides.logFormat ?? file.logging?.format ?? 'pretty',
    },
    trustedProxies: file.trusted_proxies ?? [],
  };
}
