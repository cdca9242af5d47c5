/** What the service does with a connection: the client's first byte is an index into this. */
export const MODES = [
  'down',
  'up',
  'both',
  'echo',
  'stalled down',
  'stalled up',
  'paced down',
  'slow down',
] as const;
export type Mode = (typeof MODES)[number];

/** What a stalled reader takes before it stops: enough for every window on the way to have grown. */
export const READ_BEFORE_STALL = 64 * 1024 * 1024;

/** What the writer has for it. */
export const OFFERED_TO_STALLED = 1024 * 1024 * 1024;

/** What paced writers write, in bytes per second: a download while a game is being played; one that fits through the laboratory. */
export const PACE = 20 * 1024 * 1024;
export const SLOW_PACE = 8 * 1024 * 1024;
