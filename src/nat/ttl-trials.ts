import type { Endpoint } from '../net/endpoint.ts';
import { type Prober, type ProbeSocket, patienceFor, promptnessFor, type Reference } from './prober.ts';
import { mappedAddress } from './stun-address.ts';

/** One way to find out whether packets of a TTL pass the outermost NAT of our own. */
export interface TtlMethod {
  /** What it can be tried with: one that is there twice is tried twice. */
  readonly ttls: readonly number[];
  /** Between two trials, in milliseconds. */
  readonly apart: number;
  /** Whether a packet that is seen to have passed has passed. Otherwise others may have helped, and no trial may say that it has not. */
  readonly proves: boolean;
  /** Says whether they passed; undefined where it cannot. */
  readonly trial: (socket: ProbeSocket, ttl: number, settle: (passed: boolean | undefined) => void) => void;
}

/** Behind one NAT, as most are. A loss would look like a provider's NAT in front of it. */
export const LIKELY_TTL = 2;

/** More than eight hops are not one's own network any more. */
const HOPS = [LIKELY_TTL, LIKELY_TTL, 3, 4, 5, 6, 7, 8] as const;

/** Everything goes out twice, and this much later at least, in milliseconds: a loss would look like too few hops. */
const AGAIN = 20;

/** An event loop that was held up runs timers before it reads what has arrived: so much longer, in milliseconds, it is given. */
const UNREAD = 5;

/** Low packets between two answers; a counter that skips up to four ports at a time cannot be mistaken for them. */
const LOW_PACKETS = 6;
const SKIPPED_AT_MOST = 4;

/** On a NAT that counts each trial must have the counter to itself, for so many milliseconds. */
const APART = 15;

/** Where one mapping is for all: the packet passed if a stranger's answer now comes in, which proves it at once. */
export function byFilter(prober: Prober, reference: Reference, stranger: Endpoint): TtlMethod {
  const promptness = promptnessFor(reference);
  const patience = patienceFor(reference);
  const trial: TtlMethod['trial'] = (socket, ttl, settle) => {
    let settled = false;
    const conclude = (passed: boolean) => {
      if (!settled) settle(passed);
      settled = true;
    };
    const knock = () => {
      if (settled) return;
      prober.shout(socket, stranger, ttl);
      prober.ask({ socket, to: reference.primary, from: stranger, patience }, (answer) => {
        if (answer?.message.class === 'success') conclude(true);
      });
    };
    knock();
    prober.after(Math.max(AGAIN, reference.rtt / 2), knock);
    prober.after(promptness, () => prober.after(UNREAD, () => conclude(false)));
  };
  // A firewall on this very machine is no hop away.
  return { ttls: [1, ...HOPS], apart: 0, proves: true, trial };
}

/** Where ports are counted: packets passed if each took one, so that the mappings around them are far apart. */
export function byCounter(prober: Prober, reference: Reference, stranger: Endpoint, step: number): TtlMethod {
  const { primary, otherPort = primary } = reference;
  const patience = patienceFor(reference);
  const trial: TtlMethod['trial'] = (socket, ttl, settle) => {
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
    for (let i = 0; i < LOW_PACKETS; i++) {
      prober.shout(socket, { ...stranger, port: stranger.port + i }, ttl);
    }
    prober.ask({ socket, to: otherPort, patience }, (answer) => {
      ports.after = answer && mappedAddress(answer.message)?.port;
      conclude();
    });
  };
  return { ttls: HOPS, apart: APART, proves: false, trial };
}
