import { type Program, startProgram } from './program.ts';
import type { Stage } from './stage.ts';
import { type Service, startTunnel, type Tunnel } from './tunnel.ts';

/** How the clients reach the server. */
export const SCHEMES = ['ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** A tunnel that stays on the relay. */
export interface Relay extends Tunnel {
  readonly scheme: Scheme;
}

export function startServer(stage: Stage, scheme: Scheme, ...argv: readonly string[]): Promise<Program> {
  const listen = ['--listen', `${scheme}://127.0.0.1:0`];
  return startProgram(stage, 'server', ...listen, '--no-stun', '--no-direct', ...argv);
}

/** A server, a publisher of a service, and a subscriber; the link is up. */
export async function startRelay(stage: Stage, scheme: Scheme, service: Service): Promise<Relay> {
  const server = await startServer(stage, scheme);
  return { ...(await startTunnel(stage, `over ${scheme}`, server, service)), scheme };
}
