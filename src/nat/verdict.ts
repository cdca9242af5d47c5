import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import { allocationOf } from './allocation.ts';
import type { Allocation, Behaviour, NatBehaviour, NatType } from './behaviour.ts';
import type { Observations, Sample } from './observations.ts';

/** Packets that opened the outermost own NAT had passed a second one. */
const CGNAT_TTL = 3;

/** What a NAT is, and the address that it showed. */
export interface Verdict extends NatBehaviour {
  readonly type: NatType;
  /** The main socket's mapping as the most trusted server saw it. */
  readonly reflexive: Endpoint | undefined;
}

/** Observations in, behaviour out (RFC 4787, RFC 5780 section 4). */
export function judge(observations: Observations): Verdict {
  const { localAddresses } = observations;
  const lies = contradictedServers(observations.samples);
  const samples = observations.samples.filter(({ server }) => !lies.has(server));
  const main = samples.filter((sample) => sample.main).sort((a, b) => a.server - b.server);
  const reflexive = main[0]?.mapped;
  const translated = main.some((sample) => !isOwn(sample, localAddresses));
  const { mapping, confidence } = translated ? mappingOf(main) : untranslated(main);
  const filtering = filteringOf(mapping, observations);
  const armingTtl = armingTtlOf(mapping, filtering, observations);
  return {
    mapping,
    mapping_confidence: confidence,
    filtering,
    allocation: mapping === 'unknown' ? null : allocation(mapping, samples),
    poisonable: observations.poisonable ?? null,
    // Two sockets of one machine always meet where no NAT is in between.
    hairpin: (mapping === 'unknown' ? undefined : observations.hairpin) ?? null,
    cgnat: cgnatOf(mapping, armingTtl, [observations.localAddress, reflexive?.address]),
    udp_blocked: observations.silence,
    arming_ttl: armingTtl,
    type: natType(mapping, filtering),
    reflexive,
  };
}

/** What people call it. */
export function natType(mapping: Behaviour, filtering: Behaviour): NatType {
  if (mapping === 'none') return 'open';
  if (mapping === 'unknown') return 'unknown';
  if (mapping !== 'endpoint-independent') return 'symmetric';
  switch (filtering) {
    case 'endpoint-independent':
      return 'full-cone';
    case 'address-dependent':
      return 'restricted-cone';
    case 'address-and-port-dependent':
      return 'port-restricted-cone';
    default:
      return 'cone';
  }
}

/**
 * Servers that contradict the others. A NAT whose mappings depend on the destination gives no two servers the same, so that
 * agreement is evidence: whoever has not seen what most servers have seen, lies or looks from elsewhere. Each server has one
 * vote, however many addresses it has. Without a majority the most trusted one is believed, as far as it says anything.
 */
export function contradictedServers(samples: readonly Sample[]): ReadonlySet<number> {
  const main = samples.filter((sample) => sample.main).sort((a, b) => a.server - b.server);
  const [trusted] = main;
  if (trusted === undefined) return new Set();
  const own = main.filter(({ server }) => server === trusted.server);
  const views = { mapping: viewsOf(main, mappingSeen), address: viewsOf(main, addressSeen) };
  const story = mappingOf(own);
  const stable = story.mapping === 'endpoint-independent' && story.confidence === 'addresses';
  const mapping = majority(views.mapping) ?? (stable ? mappingSeen(trusted) : undefined);
  if (mapping !== undefined) return without(views.mapping, [mapping]);
  const address = majority(views.address);
  return without(views.address, address === undefined ? own.map(addressSeen) : [address]);
}

type Views = ReadonlyMap<number, ReadonlySet<string>>;

const addressSeen = ({ mapped }: Sample) => mapped.address;
const mappingSeen = ({ mapped }: Sample) => `${mapped.address} ${mapped.port}`;

/** All that each server has seen: a NAT with several addresses can make an honest one contradict itself. */
function viewsOf(samples: readonly Sample[], view: (sample: Sample) => string): Views {
  const views = new Map<number, Set<string>>();
  for (const sample of samples) {
    views.set(sample.server, (views.get(sample.server) ?? new Set()).add(view(sample)));
  }
  return views;
}

/** What more than half of the servers have seen, if those are at least two. */
function majority(views: Views): string | undefined {
  const all = [...views.values()];
  const votes = (view: string) => all.filter((seen) => seen.has(view)).length;
  return all.flatMap((seen) => [...seen]).find((view) => votes(view) >= 2 && votes(view) * 2 > all.length);
}

/** The servers that have seen none of these. */
function without(views: Views, right: readonly string[]): ReadonlySet<number> {
  const servers = [...views].filter(([, seen]) => !right.some((view) => seen.has(view)));
  return new Set(servers.map(([server]) => server));
}

/** The mapping of one socket, from what several endpoints saw of it (RFC 5780 section 4.3). */
export function mappingOf(samples: readonly Pick<Sample, 'to' | 'mapped'>[]): {
  readonly mapping: Behaviour;
  readonly confidence: NatBehaviour['mapping_confidence'];
} {
  const [first] = samples;
  const addresses = new Set(samples.map(({ to }) => to.address));
  const asked = new Set(samples.map(({ to }) => `${to.address} ${to.port}`));
  if (first === undefined || asked.size < 2) return { mapping: 'unknown', confidence: null };
  const confidence = addresses.size > 1 ? 'addresses' : 'ports';
  if (samples.every(({ mapped }) => sameEndpoint(mapped, first.mapped))) {
    return { mapping: 'endpoint-independent', confidence };
  }
  // One mapping for each address: seen only where an address was asked at two ports.
  const perAddress = samples.every((one) =>
    samples.every((other) => one.to.address !== other.to.address || sameEndpoint(one.mapped, other.mapped)),
  );
  const portsSeen = asked.size > addresses.size;
  return {
    mapping: perAddress && portsSeen ? 'address-dependent' : 'address-and-port-dependent',
    confidence,
  };
}

/** A server saw our own address: there is no NAT before it. If that address is a private one, the internet was not reached. */
function untranslated(main: readonly Sample[]): ReturnType<typeof mappingOf> {
  const open = main.length > 0 && main.every(({ mapped }) => scopeOf(mapped.address) === 'global');
  const seenFrom = new Set(main.map(({ to }) => to.address)).size;
  return open
    ? { mapping: 'none', confidence: seenFrom > 1 ? 'addresses' : 'ports' }
    : { mapping: 'unknown', confidence: null };
}

function isOwn({ mapped, localPort }: Sample, localAddresses: readonly string[]): boolean {
  return mapped.port === localPort && localAddresses.includes(mapped.address);
}

function filteringOf(mapping: Behaviour, { filtering }: Observations): Behaviour {
  if (filtering === undefined || mapping === 'unknown') return 'unknown';
  if (filtering.otherAddress) return mapping === 'none' ? 'none' : 'endpoint-independent';
  return filtering.otherPort ? 'address-dependent' : 'address-and-port-dependent';
}

function allocation(mapping: Behaviour, samples: readonly Sample[]): Allocation | null {
  const kept = samples.filter(({ localPort, mapped }) => localPort === mapped.port).length;
  const preserving = samples.length > 0 && kept * 2 > samples.length;
  if (preserving) return { pattern: 'preserving', step: null, range: null };
  if (mapping === 'none' || mapping === 'endpoint-independent') {
    return { pattern: 'constant', step: null, range: null };
  }
  return allocationOf(newPorts(samples));
}

/** The ports of new mappings in the order of their making, from the burst that shows most. */
function newPorts(samples: readonly Sample[]): number[] {
  const bursts = new Map<number, number[]>();
  let before: Sample | undefined;
  for (const sample of [...samples].sort((a, b) => a.burst - b.burst || a.order - b.order)) {
    const ports = bursts.get(sample.burst) ?? [];
    // An address-dependent mapping serves several destinations.
    const again = before?.burst === sample.burst && before.localPort === sample.localPort;
    if (!again || before?.mapped.port !== sample.mapped.port) ports.push(sample.mapped.port);
    bursts.set(sample.burst, ports);
    before = sample;
  }
  return [...bursts.values()].sort((a, b) => b.length - a.length)[0] ?? [];
}

/** Where everything is let in, that an answer came in says nothing of the packet before it. */
function armingTtlOf(mapping: Behaviour, filtering: Behaviour, { armingTtl }: Observations): number | null {
  const stable = mapping === 'endpoint-independent' || mapping === 'none';
  const letsIn = filtering === 'endpoint-independent' || filtering === 'none';
  return (stable && letsIn) || armingTtl === undefined ? null : armingTtl;
}

function cgnatOf(
  mapping: Behaviour,
  armingTtl: number | null,
  outside: readonly (string | undefined)[],
): boolean | null {
  if (outside.some((address) => address !== undefined && scopeOf(address) === 'shared')) return true;
  if (mapping === 'none') return false;
  // Fewer hops rule nothing out: a provider's NAT may let everything in.
  return (armingTtl ?? 0) >= CGNAT_TTL || null;
}
