import type { PublishedTunnel, TunnelEvent } from '../../index.ts';
import { printable } from '../views/format.ts';
import type { View } from '../views/view.ts';

/** A published tunnel, and whoever shows what happens to it. */
export interface Published {
  readonly name: string;
  readonly tunnel: PublishedTunnel;
  readonly say: (event: TunnelEvent) => void;
}

/** Does what a line of standard input asks for: `peers`, or `close PEER`. */
export function obey(line: string, published: readonly Published[], view: View): void {
  const [command = '', peer, ...surplus] = line.trim().split(/\s+/);
  if (command === '') return;
  const warn = (message: string) => view.show({ event: 'warning', message });
  if (command === 'peers' && peer === undefined) {
    for (const { name, tunnel, say } of published) say({ event: 'peers', name, peers: tunnel.peers() });
  } else if (command === 'close' && peer !== undefined && surplus.length === 0) {
    const closed = published.filter(({ tunnel }) => tunnel.closePeer(peer));
    if (closed.length === 0) warn(`there is no friend '${printable(peer)}'`);
  } else {
    warn(`'${printable(line.trim().slice(0, 40))}' is not understood; there are: peers, close PEER`);
  }
}
