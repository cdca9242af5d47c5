import { isIPv6 } from 'node:net';

/** An IP address and a port: what RFC 8445 calls a transport address. IPv6 in its shortest form and never a mapped IPv4 one. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Below are the ports of services that anybody could be aimed at: nobody else's word makes us send there. */
export const LOWEST_PORT = 1024;

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port;
}

/** 4 or 6. */
export function familyOf({ address }: Endpoint): 4 | 6 {
  return isIPv6(address) ? 6 : 4;
}
