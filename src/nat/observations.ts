import type { Endpoint } from '../net/endpoint.ts';

/** What one server saw of one of our sockets. */
export interface Sample {
  /** Which server, counted from 0 in the order of trust. */
  readonly server: number;
  readonly to: Endpoint;
  readonly localPort: number;
  readonly mapped: Endpoint;
  /** Whether it was seen of the socket whose mapping is judged; the others show how ports are chosen. */
  readonly main: boolean;
  /** Samples of one burst were asked for in a row, `order` by `order`, with nothing in between. */
  readonly burst: number;
  readonly order: number;
}

/** Everything that a discovery has seen. Undefined: not measured. */
export interface Observations {
  /** The addresses of this machine's own interfaces, and the one among them that leads to the servers. */
  readonly localAddresses: readonly string[];
  readonly localAddress: string | undefined;
  readonly samples: readonly Sample[];
  /** Whether an answer came in from an address, and from a port, that had never been sent to. */
  readonly filtering: { readonly otherAddress: boolean; readonly otherPort: boolean } | undefined;
  readonly poisonable: boolean | undefined;
  readonly hairpin: boolean | undefined;
  readonly armingTtl: number | undefined;
  /** Servers were asked, and nothing came back but perhaps refusals in the name of all of them. */
  readonly silence: boolean;
}
