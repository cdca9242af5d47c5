import type { Path } from './path.ts';
import { type Program, startProgram } from './program.ts';
import type { Stage } from './stage.ts';

/** How the clients reach the server. */
export const SCHEMES = ['ws', 'wss'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** What is measured: a tunnel through the real programs, with their defaults. */
export interface Relay extends Path {
  readonly name: Scheme;
  readonly programs: Readonly<Record<'server' | 'publisher' | 'subscriber', Program>>;
}

const NAME = 'bench';

export function startServer(stage: Stage, scheme: Scheme, ...argv: readonly string[]): Promise<Program> {
  return startProgram(stage, 'server', '--listen', `${scheme}://127.0.0.1:0`, '--no-stun', ...argv);
}

/** A server, a publisher of the service on `servicePort`, and a subscriber; the link is up. */
export async function startRelay(stage: Stage, scheme: Scheme, servicePort: number): Promise<Relay> {
  const server = await startServer(stage, scheme);
  const { listen, fingerprint } = server.ready;
  const access = ['--server', String(listen)];
  if (fingerprint !== null) access.push('--server-fingerprint', String(fingerprint));
  const p2p = (port: number, ...argv: readonly string[]) =>
    startProgram(stage, 'p2p', String(port), ...access, ...argv);
  const publisher = await p2p(servicePort, '--name', NAME, '--local-host', '127.0.0.1');
  const subscriber = await p2p(0, '--target', NAME);
  const programs = { subscriber, server, publisher };
  return {
    name: scheme,
    port: Number(String(subscriber.ready.listen).split(':').at(-1)),
    participants: Object.entries(programs).map(([role, { pid }]) => ({ role, pid })),
    programs,
  };
}
