import type { Path } from './path.ts';
import { type Program, startProgram } from './program.ts';
import type { Stage } from './stage.ts';

/** A tunnel through the real programs. */
export interface Tunnel extends Path {
  /** Where datagrams are accepted, if they are; `port` where nothing else is. */
  readonly udpPort: number;
  readonly programs: Readonly<Record<'server' | 'publisher' | 'subscriber', Program>>;
}

const NAME = 'bench';

/** What is published: a port, and how it is spoken with where that is not TCP, as `27015/udp`. */
export type Service = number | `${number}/${'udp' | 'tcp+udp'}`;

/** A publisher of a service and a subscriber, both at one server; the link is up. */
export async function startTunnel(
  stage: Stage,
  name: string,
  server: Program,
  service: Service,
  ...argv: readonly string[]
): Promise<Tunnel> {
  const { listen, fingerprint } = server.ready;
  const access = ['--server', String(listen)];
  if (fingerprint !== null) access.push('--server-fingerprint', String(fingerprint));
  const p2p = (port: Service, ...more: readonly string[]) =>
    startProgram(stage, 'p2p', String(port), ...access, ...argv, ...more);
  const publisher = await p2p(service, '--name', NAME, '--local-host', '127.0.0.1');
  const [, protocol] = String(service).split('/');
  const subscriber = await p2p((protocol === undefined ? 0 : `0/${protocol}`) as Service, '--target', NAME);
  // All ports, where there is more than one.
  const others = (subscriber.ready.ports ?? []) as readonly { protocol: string; listen: string }[];
  const programs = { subscriber, server, publisher };
  return {
    name,
    port: portOf(subscriber.ready.listen),
    udpPort: portOf(others.find((one) => one.protocol === 'udp')?.listen ?? subscriber.ready.listen),
    participants: Object.entries(programs).map(([role, { pid }]) => ({ role, pid })),
    programs,
  };
}

function portOf(listen: unknown): number {
  return Number(String(listen).split(':').at(-1));
}
