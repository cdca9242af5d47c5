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

/** Behind one NAT. */
const LIKELY_TTL = 2;

type Settle = (passed: boolean | undefined) => void;
type Test = (socket: ProbeSocket, ttl: number, settle: Settle) => void;
type Result = readonly [ttl: number, passed: boolean | undefined];

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
  const test: Test = (socket, ttl, conclude) =>
    step === undefined
      ? opensFilter(prober, reference, stranger, socket, ttl, conclude)
      : usesPorts(prober, reference, stranger, socket, ttl, step, conclude);
  const ttls = Array.from({ length: MOST_HOPS }, (_, index) => index + 1);
  tryAll(prober, ttls, test, (passed) => {
    const ttl = smallestOf(passed);
    if (ttl === undefined || ttl <= LIKELY_TTL) {
      settle(ttl);
      return;
    }
    // A lost packet looks like one hop too few, and a provider's NAT that is not there: it is worth a second look.
    tryAll(prober, [ttl - 1, ttl - 1], test, (again) =>
      settle(again.some(([, passes]) => passes) ? ttl - 1 : ttl),
    );
  });
}

/** Tries TTLs, each on a fresh socket. Called back when all that could be tried have been. */
function tryAll(
  prober: Prober,
  ttls: readonly number[],
  test: Test,
  settle: (results: readonly Result[]) => void,
): void {
  prober.open(ttls.length, (sockets) => {
    const results: Result[] = [];
    if (sockets.length === 0) settle(results);
    sockets.forEach((socket, index) => {
      const ttl = ttls[index] ?? MOST_HOPS;
      // One after the other: on a NAT that counts, each must have the counter to itself.
      prober.after(index * APART, () =>
        test(socket, ttl, (passed) => {
          results.push([ttl, passed]);
          if (results.length === sockets.length) settle(results);
        }),
      );
    });
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

/** The first TTL from which on no packet failed to pass. */
function smallestOf(results: readonly Result[]): number | undefined {
  const failed = Math.max(0, ...results.filter(([, passed]) => passed === false).map(([ttl]) => ttl));
  const passed = results.filter(([ttl, passes]) => passes && ttl > failed).map(([ttl]) => ttl);
  return passed.length > 0 ? Math.min(...passed) : undefined;
}
