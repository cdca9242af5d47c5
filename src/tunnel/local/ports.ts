import { UnderpassError } from '../../errors.ts';
import {
  MAX_PORTS,
  MAX_RANGES,
  type PortRange,
  PROTOCOLS,
  type Protocol,
} from '../../signaling/offered-ports.ts';

/** What one local socket carries. */
export type Transport = 'tcp' | 'udp';

/** Ports as users write them: `27015`, `27015/udp`, `27015-27020/tcp+udp`, several with commas or as a list. */
export type PortSpec = number | string | readonly (number | string)[];

/** One port of the publisher's service. Its place in the list of all of them is the number by which channels and datagrams name it. */
export interface OfferedPort {
  readonly port: number;
  readonly protocol: Protocol;
}

const ENTRY = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(.*))?$/;

/** Whether ports of this protocol carry that transport. */
export function carries(protocol: Protocol, transport: Transport): boolean {
  return protocol === transport || protocol === 'tcp+udp';
}

/**
 * Reads the ports that a publisher offers, in the order in which they are written; the same port over TCP and over UDP is one with both.
 * Throws `port_invalid` or `ports_invalid`.
 * @param fallback the protocol of those that name none
 */
export function parsePorts(spec: PortSpec, fallback: Protocol = 'tcp'): readonly OfferedPort[] {
  const whole = [spec].flat().join(',');
  const refuse = (problem: string) => new UnderpassError('ports_invalid', { ports: whole, problem });
  const offered = new Map<number, Protocol>();
  for (const text of whole.split(',')) {
    const { first, last, protocol } = parseEntry(text.trim(), refuse, fallback);
    if (last < first) throw refuse(`${first}-${last} ends before it begins`);
    // Before anything is counted one by one.
    if (last - first >= MAX_PORTS) throw refuse(`a tunnel has at most ${MAX_PORTS} ports`);
    for (let port = first; port <= last; port++) {
      const before = offered.get(port);
      if (before !== undefined && (before === protocol || [before, protocol].includes('tcp+udp'))) {
        throw refuse(`${port}/${before === 'tcp+udp' ? protocol : before} is there twice`);
      }
      offered.set(port, before === undefined ? protocol : 'tcp+udp');
    }
    if (offered.size > MAX_PORTS) throw refuse(`a tunnel has at most ${MAX_PORTS} ports`);
  }
  const ports = Array.from(offered, ([port, protocol]) => ({ port, protocol }));
  if (toRanges(ports).length > MAX_RANGES) throw refuse(`a tunnel has at most ${MAX_RANGES} ranges of ports`);
  return ports;
}

/** What an answer says of them. */
export function toRanges(ports: readonly OfferedPort[]): readonly PortRange[] {
  const ranges: { port: number; count: number; protocol: Protocol }[] = [];
  for (const { port, protocol } of ports) {
    const last = ranges.at(-1);
    if (last !== undefined && last.protocol === protocol && last.port + last.count === port) last.count += 1;
    else ranges.push({ port, count: 1, protocol });
  }
  return ranges.map(({ count, ...range }) => (count === 1 ? range : { ...range, count }));
}

/** What an answer has said, which has been checked when it came. */
export function fromRanges(ranges: readonly PortRange[]): readonly OfferedPort[] {
  return ranges.flatMap(({ port, count = 1, protocol }) =>
    Array.from({ length: count }, (_, i) => ({ port: port + i, protocol })),
  );
}

/** The port with this number, if it is offered over that transport: what a peer may reach, and nothing else. */
export function portOf(
  ports: readonly OfferedPort[],
  number: number,
  transport: Transport,
): number | undefined {
  const offered = ports[number];
  return offered !== undefined && carries(offered.protocol, transport) ? offered.port : undefined;
}

/** As a user would write them: `25565, 24454/udp, 27015-27020/udp`. */
export function formatPorts(ports: readonly OfferedPort[]): string {
  return toRanges(ports)
    .map(({ port, count = 1, protocol }) => {
      const numbers = count === 1 ? `${port}` : `${port}-${port + count - 1}`;
      return protocol === 'tcp' ? numbers : `${numbers}/${protocol}`;
    })
    .join(', ');
}

/** Reads what stands behind a slash. */
export function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.some((protocol) => protocol === text);
}

function parseEntry(
  text: string,
  refuse: (problem: string) => UnderpassError,
  fallback: Protocol,
): { first: number; last: number; protocol: Protocol } {
  const [, from, to = from, protocol = fallback] = ENTRY.exec(text) ?? [];
  if (from === undefined || to === undefined) {
    throw /[-/]/.test(text) || text === ''
      ? refuse(`'${text}' is neither a port nor a range of ports`)
      : new UnderpassError('port_invalid', { port: text });
  }
  for (const port of [from, to]) {
    if (Number(port) < 1 || Number(port) > 65535) throw new UnderpassError('port_invalid', { port });
  }
  if (!isProtocol(protocol)) throw refuse(`'${protocol}' is not tcp, udp or tcp+udp`);
  return { first: Number(from), last: Number(to), protocol };
}
