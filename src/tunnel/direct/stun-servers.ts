import { lookup } from 'node:dns/promises';
import { isIP, isIPv4 } from 'node:net';
import type { NamedServer } from '../../nat/client.ts';
import { DEFAULT_STUN_PORT, formatAddress, type ServerAddress, type StunAddress } from '../../net/address.ts';
import { type Endpoint, familyOf, LOWEST_PORT } from '../../net/endpoint.ts';
import { scopeOf } from '../../net/ip.ts';
import type { StunGreeting } from '../../signaling/messages.ts';

/** Two addresses and two ports tell all that can be told; a server that names more, or odd ones, is not obeyed. */
const MOST_IPV4 = 2;
const MOST_IPV6 = 1;
const MOST_PORTS = 2;

/** What DNS may take, in milliseconds. */
const LOOKUP_TIME = 1000;

/** The STUN endpoints of an underpass server, from its greeting, and what it gave us to show to them. Never rejects. */
export async function ownStunServer(
  server: ServerAddress,
  greeting: StunGreeting,
  voucher?: Buffer,
): Promise<NamedServer> {
  const ports = greeting.ports.filter((port) => port >= LOWEST_PORT).slice(0, MOST_PORTS);
  const reached = await resolve(server.host);
  const local = reached.some((address) => scopeOf(address) !== 'global');
  // Only a server of one's own network may send probes there.
  const announced = greeting.addresses.filter((address) => local || scopeOf(address) === 'global');
  const addresses = announced.length > 0 ? few(announced, MOST_IPV4) : few(reached, 1);
  return {
    name: formatAddress(server.host, greeting.ports[0] ?? DEFAULT_STUN_PORT),
    endpoints: addresses.flatMap((address) => ports.map((port) => ({ address, port }))),
    voucher,
  };
}

/** A STUN server that the user named; without endpoints where its name is not known. Never rejects. */
export async function namedStunServer({ host, port }: StunAddress): Promise<NamedServer> {
  const addresses = few(await resolve(host), 1);
  return { name: formatAddress(host, port), endpoints: addresses.map((address) => ({ address, port })) };
}

/** An endpoint on another machine, so that a router may be in between; undefined where there is none. */
export function remoteEndpoint(servers: readonly NamedServer[]): Endpoint | undefined {
  const endpoints = servers.flatMap((server) => server.endpoints);
  return endpoints.find((one) => familyOf(one) === 4 && scopeOf(one.address) !== 'loopback');
}

function few(addresses: readonly string[], mostIpv4: number): string[] {
  const ipv4 = addresses.filter((address) => isIPv4(address)).slice(0, mostIpv4);
  const ipv6 = addresses.filter((address) => !isIPv4(address)).slice(0, MOST_IPV6);
  return [...ipv4, ...ipv6];
}

async function resolve(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const late = new Promise<never[]>((done) => setTimeout(done, LOOKUP_TIME, []).unref());
  const found = lookup(host, { all: true }).catch(() => []);
  return (await Promise.race([found, late])).map(({ address }) => address);
}
