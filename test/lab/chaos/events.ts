import type { Random } from '../../support/random.ts';
import type { SiteName } from '../topology/addresses.ts';

/** One kind of event, and what is drawn for it. Durations are in seconds. */
export type Trouble =
  /** UDP between the peers is dropped in the core. */
  | { readonly kind: 'path-kill'; readonly seconds: number }
  /** Only that of the ports in use; others will do. */
  | { readonly kind: 'port-kill'; readonly seconds: number }
  /** SIGKILL, and the same server again after so long. */
  | { readonly kind: 'server-kill'; readonly seconds: number }
  | { readonly kind: 'flush'; readonly sites: readonly SiteName[] }
  /** A host has another address in its LAN. */
  | { readonly kind: 'lan-address'; readonly site: SiteName; readonly number: number }
  /** A router has another public address. */
  | { readonly kind: 'wan-address'; readonly site: SiteName; readonly number: number }
  /** Nothing passes to or from these sites. */
  | { readonly kind: 'blackout'; readonly sites: readonly SiteName[]; readonly seconds: number }
  /** In the core, each way; until the next such event. */
  | { readonly kind: 'latency'; readonly ms: number; readonly jitterMs: number }
  /** The TCP connections to the server at this moment: a middlebox answers them with RST, or drops them. */
  | {
      readonly kind: 'cut';
      readonly site: SiteName;
      readonly how: 'reset' | 'drop';
      readonly seconds: number;
    }
  | { readonly kind: 'stop'; readonly who: 'subscriber' | 'publisher'; readonly seconds: number }
  /** UDP between the peers is dropped until the link is relayed, at most so long, and then has time to be direct again. */
  | { readonly kind: 'move'; readonly seconds: number };

export type TroubleKind = Trouble['kind'];

/** What the link outlives, in seconds, unless told otherwise. */
export const GRACE = 60;
/** No event takes longer: what is left of the grace is for the recovery. */
export const LONGEST = 30;

type Draw = { readonly [K in TroubleKind]: (random: Random) => Extract<Trouble, { kind: K }> };

const DRAW: Draw = {
  'path-kill': (random) => ({ kind: 'path-kill', seconds: between(random, 2, 25) }),
  'port-kill': (random) => ({ kind: 'port-kill', seconds: between(random, 10, LONGEST) }),
  'server-kill': (random) => ({ kind: 'server-kill', seconds: between(random, 0, 20) }),
  flush: (random) => ({ kind: 'flush', sites: someSites(random) }),
  'lan-address': (random) => ({ kind: 'lan-address', site: site(random), number: address(random) }),
  'wan-address': (random) => ({ kind: 'wan-address', site: site(random), number: address(random) }),
  blackout: (random) => ({ kind: 'blackout', sites: someSites(random), seconds: 5 }),
  latency: (random) => ({
    kind: 'latency',
    ms: between(random, 1, 100),
    jitterMs: random.pick([0, 0, 3, 10]),
  }),
  cut: (random) => {
    const how = random.pick(['reset', 'drop'] as const);
    return { kind: 'cut', site: site(random), how, seconds: between(random, 10, LONGEST) };
  },
  stop: () => ({ kind: 'stop', who: 'subscriber', seconds: 20 }),
  move: () => ({ kind: 'move', seconds: LONGEST }),
};

export const TROUBLE_KINDS = Object.keys(DRAW) as readonly TroubleKind[];

export function isTroubleKind(name: string): name is TroubleKind {
  return Object.hasOwn(DRAW, name);
}

export function drawTrouble(kind: TroubleKind, random: Random): Trouble {
  return DRAW[kind](random);
}

/** As tables show it. */
export function describeTrouble(trouble: Trouble): string {
  switch (trouble.kind) {
    case 'path-kill':
    case 'port-kill':
    case 'server-kill':
      return `${trouble.kind} ${trouble.seconds} s`;
    case 'flush':
      return `flush ${trouble.sites.join(' ')}`;
    case 'lan-address':
    case 'wan-address':
      return `${trouble.kind} ${trouble.site} .${trouble.number}`;
    case 'blackout':
      return `blackout ${trouble.sites.join(' ')} ${trouble.seconds} s`;
    case 'latency':
      return `latency ${trouble.ms}+${trouble.jitterMs} ms`;
    case 'cut':
      return `cut ${trouble.site} ${trouble.how} ${trouble.seconds} s`;
    case 'stop':
      return `stop ${trouble.who} ${trouble.seconds} s`;
    case 'move':
      return 'move';
  }
}

function between(random: Random, least: number, most: number): number {
  return least + random.integer(most - least + 1);
}

function site(random: Random): SiteName {
  return random.pick(['a', 'b']);
}

function someSites(random: Random): SiteName[] {
  return random.pick([['a'], ['b'], ['a', 'b']]);
}

/** Not the gateway's, nor what the laboratory begins with. */
function address(random: Random): number {
  return between(random, 20, 219);
}
