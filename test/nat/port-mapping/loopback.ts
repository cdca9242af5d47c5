import { randomInt } from 'node:crypto';

/** A loopback address of its own for a router with fixed ports, so that no other test run on this machine has them. */
export function loopbackAddress(): string {
  return `127.${64 + randomInt(64)}.${randomInt(256)}.${1 + randomInt(254)}`;
}
