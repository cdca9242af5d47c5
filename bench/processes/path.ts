/** A process whose work is counted. */
export interface Participant {
  readonly role: string;
  readonly pid: number;
}

/** A way to the service: a port to connect to, and who carries the bytes from there. */
export interface Path {
  readonly name: string;
  /** Where `port` is, when not on the client's machine. */
  readonly host?: string;
  readonly port: number;
  readonly participants: readonly Participant[];
}
