import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { asUnderpassError } from '../../errors.ts';
import { MAX_STUN_SERVERS } from '../../net/address.ts';
import * as is from './schema.ts';
import { readSecretFile } from './text-file.ts';
import { claimsOf, type TunnelConfig, type TunnelEntry, toTunnel, tunnelSchema } from './tunnel-config.ts';
import { readYamlFile, type YamlFile } from './yaml-file.ts';

/** The content of a tunnels file. */
export interface ClientConfig {
  readonly server: string | undefined;
  readonly token: string | undefined;
  readonly insecure: boolean | undefined;
  readonly serverFingerprint: string | undefined;
  readonly stun: readonly string[] | undefined;
  readonly portMapping: boolean | undefined;
  readonly lanAddresses: boolean | undefined;
  readonly tunnels: readonly TunnelConfig[];
  /** What works but should not stay so, a sentence each. */
  readonly warnings: readonly string[];
}

const schema = z.strictObject({
  server: is.serverAddress.optional(),
  auth_token: is.token.optional(),
  insecure: z.boolean().optional(),
  server_fingerprint: is.fingerprint.optional(),
  stun: z.array(is.stunServer).max(MAX_STUN_SERVERS).optional(),
  port_mapping: z.boolean().optional(),
  lan_addresses: z.boolean().optional(),
  tunnels: z.record(z.string(), tunnelSchema).optional(),
});

type File = YamlFile<z.infer<typeof schema>>;

/**
 * Reads a tunnels file. `secret`, where given, takes the place of every secret in it. Throws `file_unreadable` or
 * `config_invalid`.
 */
export function loadClientConfig(
  path: string,
  overrides: { readonly secret?: string | undefined } = {},
): ClientConfig {
  const file = readYamlFile(path, schema);
  const { server, insecure, stun, tunnels = {} } = file.value;
  const entries = Object.entries(tunnels);
  checkClashes(entries, file);
  const warnings: string[] = [];
  const secretOf = (key: string, entry: TunnelEntry) =>
    overrides.secret ?? entry.p2p_secret ?? readSecret(path, key, entry.p2p_secret_file, file, warnings);
  return {
    server,
    token: file.value.auth_token,
    insecure,
    serverFingerprint: file.value.server_fingerprint,
    stun,
    portMapping: file.value.port_mapping,
    lanAddresses: file.value.lan_addresses,
    tunnels: entries.map(([key, entry]) => toTunnel(key, entry, secretOf(key, entry))),
    warnings,
  };
}

function readSecret(
  path: string,
  key: string,
  secretFile: string | undefined,
  file: File,
  warnings: string[],
): string {
  if (secretFile === undefined) throw file.fail(['tunnels', key], 'needs p2p_secret or p2p_secret_file');
  const at = ['tunnels', key, 'p2p_secret_file'];
  const location = resolve(dirname(path), secretFile);
  let read: ReturnType<typeof readSecretFile>;
  try {
    read = readSecretFile(location);
  } catch (error) {
    throw file.fail(at, asUnderpassError(error).message);
  }
  if (!is.isSecret(read.secret)) throw file.fail(at, 'the secret in this file is empty or too long');
  if (read.exposed) warnings.push(exposedSecretFile(location));
  return read.secret;
}

/** The warning for a secret file that other users of the machine can read. */
export function exposedSecretFile(path: string): string {
  return `other users of this machine can read ${path}; run: chmod 600 ${path}`;
}

/** Two tunnels of one file cannot publish the same name or listen at the same place. */
function checkClashes(entries: readonly (readonly [string, TunnelEntry])[], file: File): void {
  const taken = new Map<string, string>();
  for (const [key, entry] of entries) {
    for (const { claim, at } of claimsOf(entry)) {
      const other = taken.get(claim);
      if (other !== undefined) throw file.fail(['tunnels', key, at], `is also used by tunnels.${other}`);
      taken.set(claim, key);
    }
  }
}
