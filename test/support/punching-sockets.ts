import { silentLogger } from '../../src/log.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import { Puncher } from '../../src/punch/client.ts';
import { punchKeys, type Role } from '../../src/punch/keys.ts';
import type { Measured } from '../../src/punch/rounds.ts';
import { peerSecrets } from './peer-secrets.ts';
import { coneVerdict } from './verdict.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import { virtualWorld } from './virtual-world.ts';

/** One side: a host, and a puncher on its socket. */
export interface PuncherEnd {
  readonly host: VirtualHost;
  readonly main: VirtualSocket;
  readonly puncher: Puncher;
  /** All that it said, and only where it has a path, in order. */
  readonly events: string[];
  readonly remotes: Endpoint[];
  /** QUIC packets that it was given. */
  readonly packets: string[];
}

/** A pretended internet in virtual time with punchers in it. What these say to servers and each other is left to the test. */
export function punchingSockets() {
  const world = virtualWorld();
  const { runtime, server } = world;
  const { peerKey, transcript } = peerSecrets();
  const end = (role: Role, host: VirtualHost, changes: Partial<Measured> = {}): PuncherEnd => {
    const main = host.open({ family: 4, port: 5000 });
    const [events, packets, remotes]: [string[], string[], Endpoint[]] = [[], [], []];
    const puncher = new Puncher(
      {
        ...{ role, runtime, log: silentLogger, link: transcript.link },
        keys: punchKeys(peerKey, transcript),
        measured: { verdict: coneVerdict, stun: server.endpoints[0], ...changes },
        sockets: { 4: new SharedSocket(main) },
      },
      {
        onPredicted: (prediction) => events.push('ports' in prediction ? prediction.ports.join() : 'range'),
        onArmed: () => events.push('armed'),
        onSelected: ({ strategy, remote }) => {
          remotes.push(remote);
          events.push(strategy);
        },
        onFailed: (reason) => events.push(`failed: ${reason}`),
        onLost: () => events.push('lost'),
        onPacket: (packet) => packets.push(String(packet)) > 0,
      },
    );
    return { host, main, puncher, events, remotes, packets };
  };
  return { ...world, end };
}
