/** How a router is made to behave, in parts that combine; `rules/` turns them into nftables. */
export interface NatDesign {
  /** Where the source of a new flow is translated to; absent where nothing is translated. */
  readonly source?: SourceTranslation;
  /** Whom a mapping lets in besides those whom it was made for. */
  readonly admits: 'nobody' | 'contacted-addresses' | 'everybody';
  /**
   * What becomes of a packet that nobody inside asked for and that so ends at the router itself. One that is `taken` by the
   * router's own stack leaves an entry in its connection tracking, and spoils the mapping towards its sender.
   */
  readonly unsolicited: 'dropped' | 'rejected' | 'taken';
  readonly forwards: 'everything' | 'what-was-asked-for' | 'no-udp';
}

export type SourceTranslation =
  /** The same port, as long as nobody else has it. */
  | { readonly by: 'masquerade' }
  /** Any port for each flow, out of all from 1024. */
  | { readonly by: 'chance' }
  /** A port out of a range, for each inner port or for each flow. */
  | { readonly by: 'range'; readonly first: number; readonly last: number; readonly each: 'port' | 'flow' }
  /** The next of a list, for each flow; after the last comes the first. */
  | { readonly by: 'counter'; readonly ports: readonly number[] }
  /** One of a list, chosen by a hash of the inner address and port, and maybe of the destination's address. */
  | {
      readonly by: 'hash';
      readonly ports: readonly number[];
      readonly seed: number;
      readonly of: 'source' | 'source-and-destination-address';
    };
