import { type Endpoint, familyOf } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import { mappedAddress } from './stun-address.ts';
import type { Workbench } from './workbench.ts';

/** What servers see of us over IPv6, where there is rarely a NAT to measure. */
export class Ipv6Test {
  readonly #bench: Workbench;
  readonly #targets: readonly { readonly server: number; readonly to: Endpoint }[];
  readonly #onAnswer: () => void;
  readonly #rtts = new Map<number, number>();
  #address: string | undefined;

  /** @param servers the endpoints of each, in the order of trust */
  constructor(bench: Workbench, servers: readonly (readonly Endpoint[])[], onAnswer: () => void) {
    this.#bench = bench;
    this.#targets = servers.flatMap((endpoints, server) =>
      endpoints.filter((one) => familyOf(one) === 6).map((to) => ({ server, to })),
    );
    this.#onAnswer = onAnswer;
  }

  /** Whether anybody can be asked. */
  get isPossible(): boolean {
    return this.#targets.length > 0;
  }

  /** The global address that a server saw us come from, once one has. */
  get address(): string | undefined {
    return this.#address;
  }

  /** To a server and back in milliseconds; undefined while it is silent. */
  rttOf(server: number): number | undefined {
    return this.#rtts.get(server);
  }

  start(): void {
    if (!this.isPossible) return;
    this.#bench.open(
      1,
      ([socket]) => {
        if (socket === undefined) return;
        for (const { server, to } of this.#targets) {
          this.#bench.ask({ socket, to }, (answer) => {
            const mapped = answer?.message.class === 'success' ? mappedAddress(answer.message) : undefined;
            if (answer === undefined || mapped === undefined) return;
            this.#rtts.set(server, answer.rtt);
            if (scopeOf(mapped.address) === 'global') this.#address ??= mapped.address;
            this.#onAnswer();
          });
        }
      },
      6,
    );
  }
}
