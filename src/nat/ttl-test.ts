import type { Endpoint } from '../net/endpoint.ts';
import { type Prober, type ProbeSocket, patienceFor, type Reference } from './prober.ts';
import { mappedAddress } from './stun-address.ts';

/** More hops than this are not one's own network any more. */
const MOST_HOPS = 8;

/** A low packet is sent again after this, in milliseconds, because its loss would look like too few hops. */
const AGAIN = 50;

/** Low packets between two answers; a counter that skips up to four ports at a time cannot be mistaken for them. */
const LOW_PACKETS = 6;
const SKIPPED_AT_MOST = 4;

/** Between the tests of two TTLs, in milliseconds: packets of different TTLs wait for one another in a socket. */
const APART = 15;

type Settle = (passed: boolean | undefined) => void;

/**
 * Finds the smallest IP TTL with which a packet passes the outermost NAT of our own: what such a packet does there, a later one
 * does not have to, and the far NAT never hears of it. `step` is that of a NAT that counts ports; undefined where the mapping
 * does not depend on the destination.
 */
export function testArmingTtl(
  prober: Prober,
  reference: Reference,
  step: number | undefined,
  settle: (ttl: number | undefined) => void,
): void {
  const { otherBoth: stranger } = reference;
  if (stranger === undefined) {
    settle(undefined);
    return;
  }
  prober.open(MOST_HOPS, (sockets) => {
    const passed = new Map<number, boolean | undefined>();
    sockets.forEach((socket, index) => {
      const conclude = (result: boolean | undefined) => {
        passed.set(index + 1, result);
        if (passed.size === sockets.length) settle(smallestOf(passed));
      };
      const ttl = index + 1;
      if (step === undefined) opensFilter(prober, reference, stranger, socket, ttl, conclude);
      else {
        // One after the other: each must have the counter to itself.
        prober.after(index * APART, () =>
          usesPorts(prober, reference, stranger, socket, ttl, step, conclude),
        );
      }
    });
    if (sockets.length === 0) settle(undefined);
  });
}

/** The packet passed if the stranger's answer now comes in. */
function opensFilter(
  prober: Prober,
  reference: Reference,
  stranger: Endpoint,
  socket: ProbeSocket,
  ttl: number,
  settle: Settle,
): void {
  prober.shout(socket, stranger, ttl);
  prober.after(AGAIN, () => prober.shout(socket, stranger, ttl));
  const patience = patienceFor(reference);
  prober.ask({ socket, to: reference.primary, from: stranger, patience }, (answer) => {
    settle(answer?.message.class === 'success');
  });
}

/** The packets passed if each took a port, so that the mappings around them are far apart. */
function usesPorts(
  prober: Prober,
  reference: Reference,
  stranger: Endpoint,
  socket: ProbeSocket,
  ttl: number,
  step: number,
  settle: Settle,
): void {
  const { primary, otherPort = primary } = reference;
  const patience = patienceFor(reference);
  const ports: { before?: number | undefined; after?: number | undefined } = {};
  const conclude = () => {
    if (!('before' in ports && 'after' in ports)) return;
    const { before, after } = ports;
    settle(before && after ? (after - before) / step > SKIPPED_AT_MOST : undefined);
  };
  prober.ask({ socket, to: primary, patience }, (answer) => {
    ports.before = answer && mappedAddress(answer.message)?.port;
    conclude();
  });
  for (let i = 0; i < LOW_PACKETS; i++) prober.shout(socket, { ...stranger, port: stranger.port + i }, ttl);
  prober.ask({ socket, to: otherPort, patience }, (answer) => {
    ports.after = answer && mappedAddress(answer.message)?.port;
    conclude();
  });
}

/** The first TTL from which on all packets passed. */
function smallestOf(passed: ReadonlyMap<number, boolean | undefined>): number | undefined {
  let smallest: number | undefined;
  for (let ttl = passed.size; passed.get(ttl) !== false && ttl > 0; ttl--) {
    if (passed.get(ttl)) smallest = ttl;
  }
  return smallest;
}
