import { z } from 'zod';
import { ipFromBytes, ipToBytes, scopeOf } from '../net/ip.ts';

/** The most addresses, and the most ports, that a server can announce. */
export const MAX_ANNOUNCED = 16;

/** Addresses that are not one machine's. A server must not have its clients send there. */
const NOBODYS = ['unspecified', 'multicast', 'broadcast'];

/** An address that one machine can have, in its canonical spelling. */
export const address = z
  .union([z.ipv4(), z.ipv6()])
  .transform((text) => ipFromBytes(ipToBytes(text)))
  .refine((ip) => !NOBODYS.includes(scopeOf(ip)), 'not the address of a machine');

/** Where a server answers STUN: every port of every address. */
export const stunGreeting = z.object({
  addresses: z.array(address).max(MAX_ANNOUNCED).readonly(),
  ports: z.array(z.int().min(1).max(65535)).min(1).max(MAX_ANNOUNCED).readonly(),
});
