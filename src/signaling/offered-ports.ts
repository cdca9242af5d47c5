import { z } from 'zod';

/** What a port may carry. */
export const PROTOCOLS = ['tcp', 'udp', 'tcp+udp'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Port numbers that one tunnel offers. */
export const MAX_PORTS = 256;
/** Ranges in which they are told: as many as an answer has room for. */
export const MAX_RANGES = 64;

/** Consecutive ports that are offered alike, as an answer names them. */
export interface PortRange {
  readonly port: number;
  /** How many ports, from `port` up. Default 1. */
  readonly count?: number | undefined;
  readonly protocol: Protocol;
}

const range = z.object({
  port: z.int().min(1).max(65535),
  count: z.int().min(1).max(MAX_PORTS).optional(),
  protocol: z.enum(PROTOCOLS),
});

/** The ports of an answer: no port twice, none past the last one there is. */
export const offeredPorts = z.array(range).min(1).max(MAX_RANGES).refine(isSane).readonly();

function isSane(ranges: readonly PortRange[]): boolean {
  const seen = new Set<number>();
  for (const { port, count = 1 } of ranges) {
    for (let i = port; i < port + count; i++) {
      if (i > 65535 || seen.has(i) || seen.size === MAX_PORTS) return false;
      seen.add(i);
    }
  }
  return true;
}
