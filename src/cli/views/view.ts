import type { UnderpassError } from '../../errors.ts';
import type { NatReport, TunnelConfig, TunnelEvent } from '../../index.ts';

/** What a view has to know about a tunnel to speak of it. */
export interface TunnelAbout {
  readonly tunnel: TunnelConfig;
  /** As the user wrote it; a friend needs the same. */
  readonly server: string;
  readonly serverFingerprint: string | undefined;
  readonly insecure: boolean;
  /** Whether the server asks for a token. */
  readonly token: boolean;
  /** Set where several tunnels share the output. */
  readonly label: string | undefined;
}

/** What the commands themselves have to say. `--json` prints these as they are, with a `time` beside them. */
export type CommandEvent =
  | {
      readonly event: 'ready';
      readonly role: 'server';
      readonly listen: string;
      /** SHA-256 of the certificate; null without TLS. */
      readonly fingerprint: string | null;
      /** Where it answers STUN; null: nowhere. */
      readonly stun: { readonly addresses: readonly string[]; readonly ports: readonly number[] } | null;
    }
  /** The server takes no new sessions and waits for the open links to end. */
  | { readonly event: 'draining'; readonly seconds: number }
  | { readonly event: 'closed'; readonly role: 'server' }
  | { readonly event: 'warning'; readonly message: string }
  /** The demo's cast is complete: connections to `listen` reach `service` through the tunnel. */
  | { readonly event: 'demo'; readonly server: string; readonly service: string; readonly listen: string }
  /** The path of the demo's tunnel, from here on. */
  | Extract<TunnelEvent, { event: 'path' }>
  | {
      readonly event: 'fetched';
      readonly file: string;
      /** Which path it took. */
      readonly path: PathKind;
      readonly bytes: number;
      readonly seconds: number;
      readonly sha256: string;
      /** Whether it is, byte for byte, what was published. */
      readonly ok: boolean;
    }
  | {
      readonly event: 'verified';
      readonly files: number;
      /** All that was fetched, over each path. */
      readonly bytes: number;
      readonly paths: readonly PathKind[];
      /** Why there was no direct path; null where there was one. */
      readonly reason: string | null;
    };

export type PathKind = Extract<TunnelEvent, { event: 'path' }>['kind'];

/** What the user told the measurement of the NAT not to do. */
export interface NatQuestion {
  /** Whether a router may be asked to forward a port. */
  readonly portMapping: boolean;
}

/** How the program speaks: to a person, or to a program. */
export interface View {
  /** Whoever shows what happens to one tunnel. */
  tunnel(about: TunnelAbout): (event: TunnelEvent) => void;
  show(event: CommandEvent): void;
  /** What `underpass nat` found. With `--json` it is the report and nothing else. */
  nat(report: NatReport, question: NatQuestion): void;
  error(error: UnderpassError): void;
}
