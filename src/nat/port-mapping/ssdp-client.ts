import { createSocket } from 'node:dgram';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { decodeSearchAnswer, encodeSearch, SEARCH_TARGETS, SSDP_GROUP, SSDP_PORT } from './ssdp.ts';

/** When to ask, in milliseconds: packets are lost on Wi-Fi, multicast ones above all. */
const SEARCHES = [0, 250, 800];

/** One router on our own link; UPnP Device Architecture 1.1 section 1.2.2 wants 2. */
const MULTICAST_TTL = 2;

/** A router names one place for all that it is; more than this are not looked at. */
const MAX_LOCATIONS = 4;

export interface SsdpSearch {
  readonly runtime: Runtime;
  /** Whatever else answers is not heard. */
  readonly gateway: string;
  readonly localAddress: string;
}

/** Looks for a UPnP router until it is stopped. Tells each place where its description may be, once. Never throws. */
export function searchGateway(
  { runtime, gateway, localAddress }: SsdpSearch,
  onLocation: (location: URL) => void,
): { stop(): void } {
  const locations = new Set<string>();
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    const location = from.address === gateway ? decodeSearchAnswer(bytes, gateway) : undefined;
    if (!location || locations.has(location.href) || locations.size >= MAX_LOCATIONS) return;
    locations.add(location.href);
    onLocation(location);
  });
  const search = () => {
    for (const host of [gateway, SSDP_GROUP]) {
      for (const target of SEARCH_TARGETS) {
        // The callback takes the error: without a route there is nobody to find.
        socket.send(encodeSearch(host, target), SSDP_PORT, host, () => undefined);
      }
    }
  };
  let timers: readonly Timer[] | undefined = [];
  const stop = () => {
    if (!timers) return;
    for (const timer of timers) timer.cancel();
    timers = undefined;
    socket.close();
  };
  socket.on('error', stop);
  socket.bind({ address: localAddress, port: 0 }, () => {
    try {
      socket.setMulticastInterface(localAddress);
      socket.setMulticastTTL(MULTICAST_TTL);
    } catch {
      // The interface has just gone.
      stop();
    }
    timers &&= SEARCHES.map((delay) => runtime.setTimer(delay, search));
  });
  return { stop };
}
