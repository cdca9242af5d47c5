import type { Instant } from '../../src/machine.ts';
import { formatAddress } from '../../src/net/address.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { IdleTable } from './virtual-table.ts';

/** A UDP datagram on its way. */
export interface Packet {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Buffer;
  readonly ttl: number;
}

/** What stands between a network and the one around it. It says what becomes of a packet, and is told the time. */
export interface Router {
  outbound(packet: Packet, now: Instant): Packet | undefined;
  inbound(packet: Packet, now: Instant): Packet | undefined;
}

/** UDP's shortest time-out on a Linux router, in milliseconds. RFC 4787 asks for two minutes and seldom gets them. */
export const IDLE_TIME = 30_000;

/** Lets in only what answers a packet that went out, and translates nothing. */
export class StatefulFirewall implements Router {
  readonly #flows = new IdleTable<true>(IDLE_TIME);

  outbound(packet: Packet, now: Instant): Packet | undefined {
    this.#flows.expire(now);
    const flow = `${text(packet.from)} ${text(packet.to)}`;
    if (this.#flows.full && !this.#flows.has(flow)) return undefined;
    this.#flows.use(flow, true, now);
    return packet;
  }

  inbound(packet: Packet, now: Instant): Packet | undefined {
    this.#flows.expire(now);
    const flow = `${text(packet.to)} ${text(packet.from)}`;
    if (!this.#flows.has(flow)) return undefined;
    this.#flows.use(flow, true, now);
    return packet;
  }
}

/** A router hands on only what may travel one more hop. */
export function forwarded(packet: Packet | undefined): Packet | undefined {
  return packet && packet.ttl > 1 ? { ...packet, ttl: packet.ttl - 1 } : undefined;
}

export function text({ address, port }: Endpoint): string {
  return formatAddress(address, port);
}
