/** What the service does with a connection: the client's first byte is an index into this. */
export const MODES = ['down', 'up', 'both', 'echo', 'stalled down', 'stalled up', 'paced down'] as const;
export type Mode = (typeof MODES)[number];

/** What a stalled reader takes before it stops: enough for every window on the way to have grown. */
export const READ_BEFORE_STALL = 64 * 1024 * 1024;

/** What the writer has for it. */
export const OFFERED_TO_STALLED = 1024 * 1024 * 1024;

/** What a paced writer writes, in bytes per second: a game's download while it is being played. */
export const PACE = 20 * 1024 * 1024;
