import type { Behaviour } from '../../../src/nat/behaviour.ts';
import type { ExpectedAllocation } from '../kinds/expected.ts';
import type { Laboratory } from '../laboratory.ts';
import { SERVER_ADDRESSES, type SiteName } from '../topology/addresses.ts';
import { type Check, compare } from './check.ts';
import { externalPorts } from './conntrack.ts';
import { FRESH, Sender, type Sent } from './sender.ts';

const [FIRST, SECOND] = SERVER_ADDRESSES;
const FRESH_SOCKETS = 8;

/** Bursts of packets, and what the routers' connection tracking made of them: the kernel's own truth. */
export async function checkWithConntrack(lab: Laboratory, name: SiteName): Promise<Check[]> {
  const { allocation, mapping } = lab.site(name).expected;
  if (allocation === null || mapping === 'none') return [];
  const sender = new Sender(lab, name);
  const fresh = Array.from({ length: FRESH_SOCKETS }, () => ({
    localPort: FRESH,
    address: FIRST,
    port: 3478,
  }));
  const several = await sender.send(fresh);
  const localPort = several[0]?.localPort ?? FRESH;
  const one = await sender.send([
    { localPort, address: FIRST, port: 3479 },
    { localPort, address: SECOND, port: 3478 },
    { localPort, address: SECOND, port: 3479 },
  ]);
  const sent = [...several, ...one];
  const ports = (await externalPorts(lab, name, sent)).filter((port) => port !== undefined);
  sender.end();
  if (ports.length < sent.length) {
    return [compare('conntrack', `${sent.length} flows`, `${ports.length} flows`)];
  }
  const ofOne = [ports[0], ...ports.slice(FRESH_SOCKETS)];
  return [compare('conntrack mapping', mapping, mappingOf(ofOne)), checkAllocation(allocation, sent, ports)];
}

/** Of one socket's ports towards two addresses with two ports each, address by address. */
function mappingOf([first, otherPort, otherAddress, otherBoth]: readonly unknown[]): Behaviour {
  if (first !== otherPort || otherAddress !== otherBoth) return 'address-and-port-dependent';
  return first === otherAddress ? 'endpoint-independent' : 'address-dependent';
}

function checkAllocation(
  expected: ExpectedAllocation,
  sent: readonly Sent[],
  ports: readonly number[],
): Check {
  const seen = `ports ${ports.join(' ')} for ${sent.map(({ localPort }) => localPort).join(' ')}`;
  return {
    what: 'conntrack allocation',
    expected: describeAllocation(expected),
    seen,
    right: fits(expected, sent, ports),
  };
}

function fits(expected: ExpectedAllocation, sent: readonly Sent[], ports: readonly number[]): boolean {
  switch (expected.pattern) {
    case 'preserving':
      return ports.every((port, index) => port === sent[index]?.localPort);
    case 'constant':
      return ports.every((port, index) => port !== sent[index]?.localPort);
    case 'sequential':
      return differences(ports).every((jump) => isJump(jump, expected));
    case 'block': {
      const [first, last] = expected.range;
      return ports.every((port) => port >= first && port <= last) && isDisorderly(ports);
    }
    case 'random':
      // Eleven ports out of ten thousand or more lie this close together once in ten million times.
      return Math.max(...ports) - Math.min(...ports) > 1024 && isDisorderly(ports);
  }
}

/** Whether two ports that follow one another in a sequential allocation may be so far apart. */
export function isJump(jump: number, { step, jitter }: { step: number; jitter: number }): boolean {
  const multiple = jump / step;
  return Number.isInteger(multiple) && multiple >= 1 && multiple <= jitter;
}

export function describeAllocation(allocation: ExpectedAllocation | null): string {
  if (allocation === null) return 'unknown';
  switch (allocation.pattern) {
    case 'sequential': {
      const { step, jitter } = allocation;
      return `sequential ${signed(step)}${jitter > 1 ? ` to ${signed(step * jitter)}` : ''}`;
    }
    case 'block':
      return `block ${allocation.range.join('-')}`;
    default:
      return allocation.pattern;
  }
}

export function signed(step: number): string {
  return step > 0 ? `+${step}` : String(step);
}

function differences(ports: readonly number[]): number[] {
  return ports.slice(1).map((port, index) => port - (ports[index] ?? port));
}

/** Neither always upwards nor always downwards. */
function isDisorderly(ports: readonly number[]): boolean {
  const jumps = differences(ports);
  return jumps.some((jump) => jump > 0) && jumps.some((jump) => jump < 0);
}
