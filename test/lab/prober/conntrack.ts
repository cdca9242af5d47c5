import type { Laboratory } from '../laboratory.ts';
import type { SiteName } from '../topology/addresses.ts';
import type { RouterName } from '../topology/site.ts';
import type { Sent } from './sender.ts';

/** A flow as a router knows it: how it comes from inside, and as what it leaves. */
interface Flow extends Tuple {
  readonly translated: string;
  readonly translatedPort: number;
}

/** The external port of each packet, by the connection tracking of the routers that translate; undefined where one has no entry. */
export async function externalPorts(
  lab: Laboratory,
  name: SiteName,
  packets: readonly Sent[],
): Promise<(number | undefined)[]> {
  const { routers, hostAddress } = lab.site(name);
  const translating = routers.filter(({ nat }) => nat.design.source !== undefined);
  const flows = await Promise.all(translating.map((router) => flowsOf(lab, router.name)));
  return packets.map(({ localPort, address, port }) => {
    let [source, sourcePort]: [string, number] = [hostAddress, localPort];
    for (const known of flows) {
      const flow = known.find(
        (each) =>
          each.source === source &&
          each.sourcePort === sourcePort &&
          each.destination === address &&
          each.destinationPort === port,
      );
      if (flow === undefined) return undefined;
      [source, sourcePort] = [flow.translated, flow.translatedPort];
    }
    return sourcePort;
  });
}

const TUPLE = /src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g;

/** An entry holds both directions. Either may be the one from inside: a stranger that is let in begins the flow from outside. */
async function flowsOf(lab: Laboratory, router: RouterName): Promise<Flow[]> {
  const listing = await lab.check(router, ['conntrack', '-L', '-p', 'udp']);
  return listing.split('\n').flatMap((line) => {
    const [begun, answer] = [...line.matchAll(TUPLE)].map(readTuple);
    return begun && answer ? [flow(begun, answer), flow(answer, begun)] : [];
  });
}

interface Tuple {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

function readTuple([, source = '', destination = '', sourcePort, destinationPort]: RegExpMatchArray): Tuple {
  return { source, sourcePort: Number(sourcePort), destination, destinationPort: Number(destinationPort) };
}

function flow(outgoing: Tuple, incoming: Tuple): Flow {
  return { ...outgoing, translated: incoming.destination, translatedPort: incoming.destinationPort };
}
