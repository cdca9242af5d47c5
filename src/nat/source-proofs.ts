import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Instant } from '../machine.ts';
import { ipToBytes } from '../net/ip.ts';

/** What a server gives each client to show to its STUN, in bytes. */
export const VOUCHER_SIZE = 16;

/** When it was made, in seconds, and the HMAC. */
const TIME_SIZE = 4;
export const PROOF_SIZE = 16;

/** How long a proof counts, in milliseconds: three times as long as clients take from one measurement to the next. */
const LIFETIME = 900_000;

const SECOND = 1000;

/** A client shows that a STUN request with its voucher has come from an address, and that the answer got there. */
export interface SourceClaim {
  readonly voucher: Buffer;
  readonly address: string;
  /** What the answer said. */
  readonly proof: Buffer;
}

/**
 * Proofs that a server's STUN gives to those who show a voucher, for its signaling to check. They go to where the request came from, so
 * that whoever forges the source of a request does not get one; and nothing has to be remembered of them.
 */
export class SourceProofs {
  readonly #key: Buffer;

  /** @param key 32 bytes from a CSPRNG, for as long as the server runs */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** What goes to an address from which a request with this voucher has come. */
  prove(voucher: Buffer, address: string, now: Instant): Buffer {
    const time = Buffer.alloc(TIME_SIZE);
    time.writeUInt32BE(Math.floor(now / SECOND));
    return Buffer.concat([time, this.#macOf(voucher, address, time)]);
  }

  /** Until when the claim counts; undefined where it does not. */
  check({ voucher, address, proof }: SourceClaim, now: Instant): Instant | undefined {
    if (proof.length !== PROOF_SIZE) return undefined;
    const time = proof.subarray(0, TIME_SIZE);
    const madeAt = time.readUInt32BE() * SECOND;
    const isRight = timingSafeEqual(proof.subarray(TIME_SIZE), this.#macOf(voucher, address, time));
    return isRight && madeAt <= now && now < madeAt + LIFETIME ? madeAt + LIFETIME : undefined;
  }

  /** Both sizes before the address are fixed, so that no two claims look alike. */
  #macOf(voucher: Buffer, address: string, time: Buffer): Buffer {
    const mac = createHmac('sha256', this.#key).update(voucher).update(time).update(ipToBytes(address));
    return mac.digest().subarray(0, PROOF_SIZE - TIME_SIZE);
  }
}
