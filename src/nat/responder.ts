import type { Instant } from '../machine.ts';
import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import { SourceLimit } from './source-limit.ts';
import { type SourceProofs, VOUCHER_SIZE } from './source-proofs.ts';
import {
  ATTRIBUTE,
  BINDING,
  decodeStun,
  encodeStun,
  type StunClass,
  type StunMessage,
  unknownRequired,
} from './stun.ts';
import { changeRequest, encodeAddress, encodeXorAddress } from './stun-address.ts';

/** Requests with any other attribute that has to be understood are refused: RESPONSE-PORT, say, would aim answers at others. */
const UNDERSTOOD: readonly number[] = [ATTRIBUTE.changeRequest, ATTRIBUTE.padding];

const UNKNOWN_ATTRIBUTE = 420;

/** Sources that nobody can have. */
const NOBODYS: readonly string[] = ['unspecified', 'multicast', 'broadcast'];

/** One of a server's sockets: the number of its address, and of its port. */
export interface Place {
  readonly address: number;
  readonly port: number;
}

/** Where a server of one address family answers: every port of every address. */
export interface Places {
  /** As others see them; undefined for a wildcard, which does not know. */
  readonly addresses: readonly (string | undefined)[];
  readonly ports: readonly number[];
}

export interface Answer extends Place {
  readonly bytes: Buffer;
}

type Attribute = readonly [type: number, value: Buffer];

/** Answers STUN Binding requests (RFC 8489 section 6.3), and those of RFC 5780 where there are two addresses and two ports. */
export class Responder {
  readonly #places: Places;
  readonly #limit = new SourceLimit();
  readonly #proofs: SourceProofs | undefined;

  /** @param proofs for those who show a voucher */
  constructor(places: Places, proofs?: SourceProofs) {
    this.#places = places;
    this.#proofs = proofs;
  }

  /** What to send back, and from where; undefined for what deserves no answer. */
  respond(bytes: Buffer, from: Endpoint, at: Place, now: Instant): Answer | undefined {
    const request = decodeStun(bytes);
    if (request?.class !== 'request' || request.method !== BINDING || !this.#isSomebody(from))
      return undefined;
    if (!this.#limit.take(from.address, now)) return undefined;
    const unknown = unknownRequired(request, UNDERSTOOD);
    const wantsChange = request.attributes.has(ATTRIBUTE.changeRequest);
    const change = changeRequest(request);
    const other = this.#other(at);
    if (wantsChange && (change === undefined || other === undefined)) unknown.push(ATTRIBUTE.changeRequest);
    const proof = this.#proofFor(request, from, now);
    // Requests are easily forged: an answer from elsewhere, or with more in it than usual, must not be worth it.
    const most = wantsChange || proof ? bytes.length : Number.POSITIVE_INFINITY;
    if (unknown.length > 0) {
      const refused = encodeWithin(most, 'error', request, refusals(unknown));
      return refused && { ...at, bytes: refused };
    }
    const place = {
      address: change?.address && other ? other.address : at.address,
      port: change?.port && other ? other.port : at.port,
    };
    const answer = encodeWithin(most, 'success', request, this.#successes(request, from, at, place, proof));
    return answer && { ...place, bytes: answer };
  }

  /** With all that can be said, and with the least. */
  #successes(
    { transactionId }: StunMessage,
    from: Endpoint,
    at: Place,
    place: Place,
    proof: Attribute | undefined,
  ): Attribute[][] {
    const origin = this.#endpoint(place);
    const other = this.#endpoint(this.#other(at));
    const mapped: Attribute = [ATTRIBUTE.xorMappedAddress, encodeXorAddress(from, transactionId)];
    const more: Attribute[] = [];
    if (origin) more.push([ATTRIBUTE.responseOrigin, encodeAddress(origin)]);
    if (other) more.push([ATTRIBUTE.otherAddress, encodeAddress(other)]);
    const vouched = proof ? [mapped, proof] : [mapped];
    return [[...vouched, ...more], vouched, [mapped]];
  }

  /** Says that whoever reads it has shown this voucher, and receives what is sent to the address that it came from. */
  #proofFor({ attributes }: StunMessage, { address }: Endpoint, now: Instant): Attribute | undefined {
    const voucher = attributes.get(ATTRIBUTE.voucher);
    if (voucher?.length !== VOUCHER_SIZE || this.#proofs === undefined) return undefined;
    return [ATTRIBUTE.proof, this.#proofs.prove(voucher, address, now)];
  }

  /**
   * The place that differs in address and port (RFC 5780 section 6); only a server that has one can change anything. Two of one
   * name are the same address to a client, which would take an answer from there for a filter's.
   */
  #other(at: Place): Place | undefined {
    const { addresses, ports } = this.#places;
    const other = { address: (at.address + 1) % addresses.length, port: (at.port + 1) % ports.length };
    const [here, there] = [this.#endpoint(at), this.#endpoint(other)];
    if (here === undefined || there === undefined) return undefined;
    return here.address === there.address || here.port === there.port ? undefined : other;
  }

  #endpoint(place: Place | undefined): Endpoint | undefined {
    const address = place && this.#places.addresses[place.address];
    const port = place && this.#places.ports[place.port];
    return address === undefined || port === undefined ? undefined : { address, port };
  }

  #isSomebody(from: Endpoint): boolean {
    if (from.port === 0 || NOBODYS.includes(scopeOf(from.address))) return false;
    const { addresses, ports } = this.#places;
    return !addresses.some((address) =>
      ports.some((port) => address !== undefined && sameEndpoint(from, { address, port })),
    );
  }
}

/** Attributes of a 420 (RFC 8489 section 14.8), with what was not understood, and without. No reason phrase: it amplifies. */
function refusals(unknown: readonly number[]): Attribute[][] {
  const code = Buffer.from([0, 0, Math.floor(UNKNOWN_ATTRIBUTE / 100), UNKNOWN_ATTRIBUTE % 100]);
  const types = Buffer.concat(unknown.map((type) => Buffer.from([type >> 8, type & 0xff])));
  const error: Attribute = [ATTRIBUTE.errorCode, code];
  return [[error, [ATTRIBUTE.unknownAttributes, types]], [error]];
}

/** The response with the first of these choices that makes it no larger than `most` bytes. */
function encodeWithin(
  most: number,
  kind: StunClass,
  { transactionId }: StunMessage,
  choices: readonly Attribute[][],
): Buffer | undefined {
  for (const attributes of choices) {
    const bytes = encodeStun({ class: kind, transactionId, attributes });
    if (bytes.length <= most) return bytes;
  }
  return undefined;
}
