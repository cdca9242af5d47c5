/** How long a mapping is asked for, in seconds (RFC 6886 section 3.3 and RFC 6887 section 11.2 recommend two hours or so). */
export const LIFETIME = 7200;

/** A router that grants less is asked no more often; one that grants more is not believed. Milliseconds. */
const MIN_LIFETIME = 60_000;
const MAX_LIFETIME = 24 * 3_600_000;

/** A router that restarted has forgotten its mappings; this is how long that can go unnoticed, in milliseconds. */
const MAX_RENEWAL = 10 * 60_000;
const MIN_RENEWAL = 15_000;

/** What a router granted, in seconds, as milliseconds to count on. */
export function lifetimeMs(granted: number): number {
  return Math.min(Math.max(granted * 1000, MIN_LIFETIME), MAX_LIFETIME);
}

/** How long to wait before asking again, when a mapping ends in `remaining` milliseconds: at half of it (RFC 6887 11.2.1). */
export function renewalDelay(remaining: number): number {
  return Math.min(Math.max(remaining / 2, MIN_RENEWAL), MAX_RENEWAL);
}
