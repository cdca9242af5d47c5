import type { Prober, Reference } from './prober.ts';
import { byCounter, byFilter, LIKELY_TTL, type TtlMethod } from './ttl-trials.ts';

/** A lost packet looks like one hop too few, and like a provider's NAT that is not there: so many have to have failed. */
const OPINIONS = 2;

type Result = readonly [ttl: number, passed: boolean | undefined];

/**
 * Finds the smallest IP TTL with which a packet passes the outermost NAT of our own: what such a packet does there, a later one
 * does not have to, and the far NAT never hears of it. `step` is that of a NAT that counts ports; undefined where the mapping
 * does not depend on the destination. Takes about two round trips behind one NAT or two.
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
  const method =
    step === undefined ? byFilter(prober, reference, stranger) : byCounter(prober, reference, stranger, step);
  tryAll(prober, method, (results) => {
    const ttl = smallestOf(results, method);
    const doubtful = [...new Set(method.ttls)].filter(
      (one) => LIKELY_TTL <= one && isBelow(one, ttl) && failures(results, one) < OPINIONS,
    );
    // Where nothing passes at all, it is not for loss.
    if (ttl === undefined || doubtful.length === 0) settle(ttl);
    else {
      const again = { ...method, ttls: doubtful };
      tryAll(prober, again, (results) => settle(smallestOf(results, again) ?? ttl));
    }
  });
}

/** Tries TTLs, each on a fresh socket, until there is one that passes and every smaller one has not. */
function tryAll(prober: Prober, method: TtlMethod, settle: (results: readonly Result[]) => void): void {
  prober.open(method.ttls.length, (sockets) => {
    const ttls = method.ttls.slice(0, sockets.length);
    const results: Result[] = [];
    let settled = false;
    const conclude = () => {
      const smallest = smallestOf(results, method);
      const counts = (one: number) => isBelow(one, smallest) || (one === smallest && !method.proves);
      settled = results.filter(([one]) => counts(one)).length === ttls.filter(counts).length;
      if (settled) settle(results);
    };
    sockets.forEach((socket, index) => {
      const ttl = ttls[index] ?? LIKELY_TTL;
      prober.after(index * method.apart, () => {
        if (settled) return;
        method.trial(socket, ttl, (passed) => {
          if (settled) return;
          results.push([ttl, passed]);
          conclude();
        });
      });
    });
    if (sockets.length === 0) settle(results);
  });
}

/** The smallest that passes. */
function smallestOf(results: readonly Result[], { proves }: TtlMethod): number | undefined {
  const passes = results
    .filter(([ttl, passed]) => passed && (proves || failures(results, ttl) === 0))
    .map(([ttl]) => ttl);
  return passes.length > 0 ? Math.min(...passes) : undefined;
}

function failures(results: readonly Result[], ttl: number): number {
  return results.filter(([one, passed]) => one === ttl && passed === false).length;
}

/** Everything is below undefined: nothing has passed yet. */
function isBelow(ttl: number, smallest: number | undefined): boolean {
  return smallest === undefined || ttl < smallest;
}
