import type { Endpoint } from '../../net/endpoint.ts';
import type { Answer, Dialect } from './dialect.ts';
import {
  decodeNatPmp,
  encodeAddressRequest,
  encodeMapRequest,
  NAT_PMP_RESULT,
  type NatPmpResponse,
} from './nat-pmp.ts';
import { noExternalAddress, refusal } from './refusal.ts';

/**
 * NAT-PMP tells the external address and the external port in two answers. A mapping is asked for only after the address has been
 * heard, and so is a renewal: its answer would otherwise be read together with an address that is no longer the router's.
 */
export class NatPmpDialect implements Dialect {
  readonly protocol = 'nat-pmp';
  readonly #internalPort: number;
  #externalAddress: string | undefined;

  constructor(internalPort: number) {
    this.#internalPort = internalPort;
  }

  get ready(): boolean {
    return this.#externalAddress !== undefined;
  }

  reset(): void {
    this.#externalAddress = undefined;
  }

  probe(): Buffer {
    return encodeAddressRequest();
  }

  ask(suggested: Endpoint, lifetime: number): Buffer {
    return encodeMapRequest({
      internalPort: this.#internalPort,
      suggestedPort: suggested.port,
      lifetime,
    });
  }

  remove(): Buffer {
    return encodeMapRequest({ internalPort: this.#internalPort, suggestedPort: 0, lifetime: 0 });
  }

  receive(bytes: Buffer): Answer | undefined {
    const answer = decodeNatPmp(bytes);
    switch (answer?.type) {
      case 'address':
        return this.#hear(answer.address);
      case 'mapped':
        return this.#granted(answer);
      case 'error':
        // Our version is right: this answers the PCP packet.
        if (answer.result === NAT_PMP_RESULT.unsupportedVersion) return undefined;
        return { type: 'refused', refusal: refusal('nat-pmp', answer.result) };
      default:
        return undefined;
    }
  }

  #hear(address: string): Answer | undefined {
    if (address === '0.0.0.0') return { type: 'refused', refusal: noExternalAddress('nat-pmp') };
    const heard = this.ready;
    this.#externalAddress = address;
    return heard ? undefined : { type: 'ready' };
  }

  #granted(answer: Extract<NatPmpResponse, { type: 'mapped' }>): Answer | undefined {
    if (answer.internalPort !== this.#internalPort) return undefined;
    if (answer.lifetime === 0) return { type: 'deleted' };
    if (answer.externalPort === 0 || this.#externalAddress === undefined) return undefined;
    const external = { address: this.#externalAddress, port: answer.externalPort };
    return { type: 'granted', external, lifetime: answer.lifetime };
  }
}
