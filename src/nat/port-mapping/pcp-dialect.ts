import { type Endpoint, familyOf } from '../../net/endpoint.ts';
import type { Answer, Dialect } from './dialect.ts';
import { decodeNatPmp, NAT_PMP_RESULT } from './nat-pmp.ts';
import { decodePcpMap, encodePcpMap, PCP_SUCCESS } from './pcp.ts';
import { noExternalAddress, refusal } from './refusal.ts';

export class PcpDialect implements Dialect {
  readonly protocol = 'pcp';
  readonly ready = true;
  readonly #client: string;
  readonly #internalPort: number;
  readonly #nonce: Buffer;

  /** `nonce`: 12 random bytes. It outlives a mapping, so that the router knows us again. */
  constructor(client: string, internalPort: number, nonce: Buffer) {
    this.#client = client;
    this.#internalPort = internalPort;
    this.#nonce = nonce;
  }

  reset(): void {
    // Each of its answers says everything.
  }

  probe(): undefined {
    return undefined;
  }

  ask(suggested: Endpoint, lifetime: number): Buffer {
    return this.#encode({ suggested, lifetime });
  }

  remove(): Buffer {
    return this.#encode({ lifetime: 0 });
  }

  receive(bytes: Buffer): Answer | undefined {
    const natPmp = decodeNatPmp(bytes);
    // A router that knows only NAT-PMP says so in its own words (RFC 6887 section 9).
    if (natPmp?.type === 'error' && natPmp.result === NAT_PMP_RESULT.unsupportedVersion)
      return { type: 'absent' };
    const answer = decodePcpMap(bytes);
    if (!answer) return undefined;
    const { result, lifetime, mapping } = answer;
    if (mapping && (!mapping.nonce.equals(this.#nonce) || mapping.internalPort !== this.#internalPort))
      return undefined;
    if (result !== PCP_SUCCESS) return { type: 'refused', refusal: refusal('pcp', result) };
    if (lifetime === 0) return { type: 'deleted' };
    const { external } = mapping ?? {};
    if (!external || external.port === 0 || familyOf(external) !== 4) return undefined;
    if (external.address === '0.0.0.0') return { type: 'refused', refusal: noExternalAddress('pcp') };
    return { type: 'granted', external, lifetime };
  }

  #encode(fields: { suggested?: Endpoint; lifetime: number }): Buffer {
    const [nonce, client, internalPort] = [this.#nonce, this.#client, this.#internalPort];
    return encodePcpMap({ nonce, client, internalPort, ...fields });
  }
}
