/** A point on a monotonic clock, in milliseconds. Only differences mean anything. */
export type Instant = number;

/**
 * What every sans-I/O core looks like. Inputs are methods of its own (`receive(bytes, now)`, `open(now)` …); after each
 * input, and after `handleTimeout`, its owner takes what it has to say with `pollOutput` until there is no more, and then
 * asks `pollTimeout` when to come back. A machine never reads a clock, a socket or a random source.
 */
export interface Machine<Output> {
  /** The next thing to do (bytes to send, an event that happened), or undefined when there is nothing. */
  pollOutput(): Output | undefined;
  /** When `handleTimeout` wants to be called, or undefined for never. */
  pollTimeout(): Instant | undefined;
  /** Time has passed. Calling it early or twice does no harm. */
  handleTimeout(now: Instant): void;
}
