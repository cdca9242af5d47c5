import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UnderpassError } from '../errors.ts';
import { type ClientOptions, isPort, isSecret, isWeakSecret } from '../index.ts';
import type { Context } from './context.ts';
import type { View } from './views/view.ts';

/** Which server, and how to trust it. */
export interface ServerAccess {
  readonly server: string;
  readonly token: string | undefined;
  readonly insecure: boolean;
  readonly serverFingerprint: string | undefined;
}

/** How a client learns about its network, and what it tells others of it. */
export type NetworkSettings = Pick<ClientOptions, 'stun' | 'portMapping' | 'lanAddresses'>;

type Layer = { readonly [Key in keyof ServerAccess]?: ServerAccess[Key] | undefined };

/** What the environment says. A variable that is set but empty says nothing. */
export function environmentOf({ environment }: Context): Layer & { readonly secret: string | undefined } {
  return {
    server: environment.UNDERPASS_SERVER || undefined,
    token: environment.UNDERPASS_TOKEN || undefined,
    secret: environment.UNDERPASS_SECRET || undefined,
  };
}

/** For each setting the first layer that has it. Throws `server_missing`. */
export function serverAccess(...layers: readonly Layer[]): ServerAccess {
  const first = <Key extends keyof Layer>(key: Key) =>
    layers.find((layer) => layer[key] !== undefined)?.[key];
  const server = first('server');
  if (server === undefined) throw new UnderpassError('server_missing');
  const insecure = first('insecure') ?? false;
  return { server, token: first('token'), insecure, serverFingerprint: first('serverFingerprint') };
}

/** Reads a port; `zero` allows 0, for any. Throws `port_invalid`. */
export function parsePort(text: string, { zero } = { zero: false }): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!isPort(port, { zero })) throw new UnderpassError('port_invalid', { port: text });
  return port;
}

/** Throws `secret_missing` or `secret_invalid`. */
export function checkSecret(secret: string | undefined): string {
  if (secret === undefined) throw new UnderpassError('secret_missing');
  if (!isSecret(secret)) throw new UnderpassError('secret_invalid');
  return secret;
}

/** Says so when a secret could be guessed. */
export function warnOfWeakSecret(name: string, secret: string, view: View): void {
  if (!isWeakSecret(secret)) return;
  const message = `the secret of '${name}' is easy to guess; 16 random characters or more are safe`;
  view.show({ event: 'warning', message });
}

/** The tunnels file that is used when none is named: where XDG says, or in `~/.underpass`. */
export function defaultConfigPath({ environment, homeDirectory }: Context): string {
  const classic = join(homeDirectory, '.underpass', 'config.yml');
  if (!environment.XDG_CONFIG_HOME) return classic;
  const path = join(environment.XDG_CONFIG_HOME, 'underpass', 'config.yml');
  return existsSync(path) || !existsSync(classic) ? path : classic;
}
