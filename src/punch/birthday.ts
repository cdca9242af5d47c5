/** Sockets on the hard side; more would fill a small router's table. */
export const MAX_SOCKETS = 256;

/** Probes of the easy side: what fits the time of a round, 10 s, at 200 a second with time to spare for an answer. */
export const MAX_PROBES = 1500;

/** With this chance the search is to succeed, before anything is lost; where all ports are searched, as near to it as packets allow. */
const TARGET = 0.9999;

const FEWEST_SOCKETS = 16;

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What the side with a NAT that cannot be foreseen knows of itself. */
export interface Holding {
  /** The ports that its mappings may get. */
  readonly range: PortRange;
  /** Its public address. */
  readonly address: string;
}

export interface Search {
  /** How many ports of the range the hard side holds. */
  readonly sockets: number;
  /** How many different ones the easy side tries. */
  readonly probes: number;
}

/** All ports that a NAT gives. */
export const EVERY_PORT: PortRange = { first: 1024, last: 65_535 };

export function sizeOf({ first, last }: PortRange): number {
  return last - first + 1;
}

/** A quarter more on either side: a range that was told from a few of its ports is an estimate. */
export function widened({ first, last }: PortRange): PortRange {
  const more = Math.ceil(sizeOf({ first, last }) / 4);
  return { first: Math.max(EVERY_PORT.first, first - more), last: Math.min(EVERY_PORT.last, last + more) };
}

/** The chance that one of `probes` different ports out of `range` is among the `sockets` that are held. */
export function hitChance(range: number, { sockets, probes }: Search): number {
  let miss = 1;
  for (let i = 0; i < probes && miss > 0; i++) miss *= Math.max(0, 1 - sockets / (range - i));
  return 1 - miss;
}

/** The search with the fewest packets that is likely enough; the largest allowed where none is. */
export function planSearch(range: number): Search {
  let best: Search = { sockets: Math.min(MAX_SOCKETS, range), probes: Math.min(MAX_PROBES, range) };
  let chance = hitChance(range, best);
  for (let sockets = FEWEST_SOCKETS; sockets <= Math.min(MAX_SOCKETS, range); sockets += FEWEST_SOCKETS) {
    const probes = probesFor(range, sockets);
    const search = { sockets, probes: Math.min(probes, MAX_PROBES) };
    const better = probes <= MAX_PROBES && (chance < TARGET || packetsOf(search) < packetsOf(best));
    if (!better) continue;
    best = search;
    chance = TARGET;
  }
  return best;
}

/** `count` different ports out of a range, in random order. @param random bytes from a CSPRNG */
export function drawPorts(range: PortRange, count: number, random: (size: number) => Buffer): number[] {
  const size = sizeOf(range);
  const drawn = Math.min(count, size);
  const bytes = random(4 * drawn);
  // Fisher and Yates, with only those places written down that differ from their number.
  const moved = new Map<number, number>();
  return Array.from({ length: drawn }, (_, i) => {
    const chosen = i + (bytes.readUInt32BE(4 * i) % (size - i));
    const port = moved.get(chosen) ?? chosen;
    moved.set(chosen, moved.get(i) ?? i);
    return range.first + port;
  });
}

function probesFor(range: number, sockets: number): number {
  let miss = 1;
  let probes = 0;
  while (1 - miss < TARGET && probes <= MAX_PROBES) miss *= Math.max(0, 1 - sockets / (range - probes++));
  return probes;
}

function packetsOf({ sockets, probes }: Search): number {
  return sockets + probes;
}
