import { drawPorts, type PortRange, sizeOf } from './birthday.ts';

/** Sockets of each side, and ports of the other one that each of them sends to: a mapping for each socket and port. */
const MAX_SOCKETS = 384;
const TARGETS = 2;

/** Less likely than this a try is not worth the thousands of packets. */
const LEAST_CHANCE = 0.4;

/** How many sockets a side opens whose NAT gives ports out of a block of about this size. */
export function socketsFor(block: number): number {
  return Math.min(MAX_SOCKETS, Math.ceil(1.5 * block));
}

/**
 * The chance that two such sides meet. Towards one port of the other side a NAT gives each of its own ports once, so that few targets
 * and many sockets cover much of the block: a pair of targets meets if each side holds the port that the other one aims at.
 * @param one how many ports the block of one NAT has; `other`, that of the other one
 */
export function meetingChance(one: number, other: number): number {
  const held = (block: number) => Math.min(1, socketsFor(block) / block);
  return 1 - (1 - held(one) * held(other)) ** (TARGETS * TARGETS);
}

export function isWorthMeeting(one: number, other: number): boolean {
  return meetingChance(one, other) >= LEAST_CHANCE;
}

/** Ports of the other side to aim at. Where a block begins and ends is an estimate: its middle is sure. */
export function aimAt({ first, last }: PortRange, random: (size: number) => Buffer): number[] {
  const quarter = Math.floor(sizeOf({ first, last }) / 4);
  return drawPorts({ first: first + quarter, last: last - quarter }, TARGETS, random);
}
