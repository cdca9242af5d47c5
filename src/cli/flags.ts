import type { LogFormat, LogLevel } from '../log.ts';

/** Flags that every command has. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
}

export interface ServerFlags extends CommonFlags {
  readonly config?: string;
  readonly listen?: string;
  readonly token?: readonly string[];
  /** False after `--no-direct`. */
  readonly direct: boolean;
  /** False after `--no-stun`. */
  readonly stun: boolean;
}

export interface P2pFlags extends CommonFlags {
  readonly name?: string;
  readonly target?: string;
  readonly server?: string;
  readonly token?: string;
  readonly secret?: string;
  readonly secretFile?: string;
  readonly localHost?: string;
  readonly listen?: string;
  readonly mode?: 'auto' | 'relay' | 'direct';
  /** False after `--no-reconnect`. */
  readonly reconnect: boolean;
  readonly insecure?: boolean;
  readonly serverFingerprint?: string;
  readonly stun?: readonly string[];
  /** False after `--no-port-mapping`. */
  readonly portMapping: boolean;
  /** False after `--no-lan-addresses`. */
  readonly lanAddresses: boolean;
  readonly proxyProtocol?: 'v2';
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly grace?: string;
  readonly udpIdle?: string;
}

export interface StartFlags extends CommonFlags {
  readonly config?: string;
  /** False after `--no-reconnect`. */
  readonly reconnect: boolean;
}

export interface NatFlags extends CommonFlags {
  readonly server?: string;
  readonly stun?: readonly string[];
  /** False after `--no-port-mapping`. */
  readonly portMapping: boolean;
  readonly insecure?: boolean;
  readonly serverFingerprint?: string;
}

export type DemoFlags = CommonFlags;

/** What the program can be told to do. Each resolves with the exit code, or throws an UnderpassError. */
export interface Commands {
  server(flags: ServerFlags): Promise<number>;
  p2p(ports: string, flags: P2pFlags): Promise<number>;
  start(flags: StartFlags): Promise<number>;
  nat(flags: NatFlags): Promise<number>;
  demo(port: string | undefined, flags: DemoFlags): Promise<number>;
}
