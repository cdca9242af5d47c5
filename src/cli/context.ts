import type { Client, ClientOptions, measureNat, startServer } from '../index.ts';
import type { createLogger } from '../log.ts';

/** A stream for text; `color` says whether a person looks at it. */
export interface Output {
  readonly color: boolean;
  write(text: string): void;
}

/** Why the program should end: a signal, or nobody reads what it prints. */
export type StopReason = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'output closed';

/** What reaches the program from outside while it runs. */
export interface Signals {
  /** Resolves when the program should end in good order. */
  readonly stopped: Promise<StopReason>;
  /** From now on SIGHUP calls this instead of ending the program. */
  onHangup(callback: () => void): void;
}

/** What is typed, or written by another program. */
export interface Input {
  /** Whether a person is at the other end. */
  readonly isTerminal: boolean;
  /** Calls back with each line from now on. It does not keep the program alive. */
  onLine(callback: (line: string) => void): void;
}

/** The parts of a client that commands use. */
export type ClientApi = Pick<Client, 'publish' | 'subscribe' | 'close'>;

/** Everything the commands need from the world. Tests bring their own. */
export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly input: Input;
  readonly signals: Signals;
  now(): Date;
  createLogger: typeof createLogger;
  createClient(options: ClientOptions): ClientApi;
  startServer: typeof startServer;
  measureNat: typeof measureNat;
}
