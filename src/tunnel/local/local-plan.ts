import { UnderpassError } from '../../errors.ts';
import type { Protocol } from '../../signaling/offered-ports.ts';
import { carries, isProtocol, type OfferedPort, type Transport } from './ports.ts';

/** At which ports of its own a subscriber wants those that a publisher offers. */
export interface LocalPlan {
  /** The port for the first one, the others keeping their distance; the same ones as there; or any that are free. */
  readonly at: number | 'same' | 'any';
  /** Only what is offered over this. Undefined: all of it. */
  readonly protocol: Protocol | undefined;
}

/** One port to open here: for the offered port with that number, over one transport. */
export interface PlannedPort {
  readonly number: number;
  readonly transport: Transport;
  /** The publisher's. */
  readonly remote: number;
  /** 0 lets the system choose. */
  readonly local: number;
}

const TRANSPORTS: readonly Transport[] = ['tcp', 'udp'];

/**
 * Reads `8000`, `same` or `0`, each with `/tcp`, `/udp` or `/tcp+udp` behind it where only that is wanted. Throws `port_invalid` or
 * `ports_invalid`.
 * @param fallback the protocol where the text names none
 */
export function parsePlan(spec: number | string, fallback?: Protocol): LocalPlan {
  const ports = String(spec).trim();
  const [, text = '', protocol = fallback] = /^([^/]*)(?:\/(.*))?$/.exec(ports) ?? [];
  const refuse = (problem: string) => new UnderpassError('ports_invalid', { ports, problem });
  if (protocol !== undefined && !isProtocol(protocol))
    throw refuse(`'${protocol}' is not tcp, udp or tcp+udp`);
  if (text === 'same') return { at: 'same', protocol };
  if (/[-,]/.test(text)) throw refuse('to reach a tunnel takes one port, same, or 0');
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65535)) throw new UnderpassError('port_invalid', { port: text });
  return { at: port === 0 ? 'any' : port, protocol };
}

/**
 * What a subscriber opens for what a publisher offers, in the order of the offered numbers. Throws `ports_mismatch` where nothing that
 * is wanted is offered, or a port would be none.
 * @param name the tunnel's, for the error
 */
export function planPorts(
  plan: LocalPlan,
  offered: readonly OfferedPort[],
  name: string,
): readonly PlannedPort[] {
  const { at, protocol = 'tcp+udp' } = plan;
  const refuse = (problem: string) => new UnderpassError('ports_mismatch', { name, problem });
  const wanted = TRANSPORTS.filter((transport) => carries(protocol, transport));
  const chosen = offered.flatMap((offer, number) => {
    const transports = wanted.filter((transport) => carries(offer.protocol, transport));
    return transports.map((transport) => ({ number, transport, remote: offer.port }));
  });
  const [first] = chosen;
  if (first === undefined)
    throw refuse(`it offers nothing over ${protocol.toUpperCase().replace('+', ' or ')}`);
  return chosen.map((port) => {
    if (at === 'any') return { ...port, local: 0 };
    const local = at === 'same' ? port.remote : at + port.remote - first.remote;
    if (local < 1 || local > 65535) {
      throw refuse(`with ${first.remote} at ${at}, ${port.remote} would be at ${local}`);
    }
    return { ...port, local };
  });
}

/** What is opened before the offer is known, so that a port that is taken is told at once. */
export function earlyPorts({
  at,
  protocol = 'tcp',
}: LocalPlan): readonly Pick<PlannedPort, 'transport' | 'local'>[] {
  if (at === 'same') return [];
  const local = at === 'any' ? 0 : at;
  return TRANSPORTS.filter((transport) => carries(protocol, transport)).map((transport) => ({
    transport,
    local,
  }));
}
