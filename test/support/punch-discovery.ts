import type { NatVerdict } from '../../src/nat/behaviour.ts';
import { Discovery } from '../../src/nat/discovery.ts';
import { findingsOf } from '../../src/nat/findings.ts';
import { reportOf, verdictOf } from '../../src/nat/report.ts';
import { Driver } from '../../src/net/driver.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import type { VirtualRuntime } from './virtual-runtime.ts';

/** What a real discovery finds, and the socket that it measured, still open. */
export interface Found {
  readonly main: VirtualSocket;
  readonly verdict: NatVerdict;
  readonly reflexive: Endpoint | undefined;
}

/** Lets a host discover its NAT as a client does, in virtual time. */
export function discoverOn(
  host: VirtualHost,
  endpoints: readonly Endpoint[],
  runtime: VirtualRuntime,
): Found {
  const sockets = new Map<number, VirtualSocket>();
  const servers = [{ name: 'server', endpoints }];
  const localAddress = host.addresses[0];
  const discovery = new Discovery({
    ...{ servers, localAddress, localAddresses: host.addresses },
    randomBytes: (size) => runtime.randomBytes(size),
  });
  let done = false;
  const driver = new Driver(discovery, runtime, (output) => {
    if (output.type === 'done') done = true;
    else if (output.type === 'send') {
      sockets.get(output.socket)?.send(output.bytes, output.to, output.ttl ? { ttl: output.ttl } : {});
    } else if (output.type === 'open') {
      const socket = host.open({ family: output.family });
      sockets.set(output.socket, socket);
      socket.onPacket('stun', (bytes, from) => {
        discovery.receive(output.socket, from, bytes, runtime.now());
        driver.pump();
      });
      discovery.opened(output.socket, socket.local.port, runtime.now());
    }
  });
  discovery.start(runtime.now());
  driver.pump();
  while (!done) runtime.advance(1);
  driver.stop();
  const main = sockets.get(discovery.mainSocket ?? 0);
  for (const socket of sockets.values()) if (socket !== main) socket.close();
  if (main === undefined) throw new Error('nothing was measured');
  const findings = findingsOf(discovery, servers, localAddress, 0);
  return { main, verdict: verdictOf(reportOf(findings, {})), reflexive: findings.reflexive };
}
