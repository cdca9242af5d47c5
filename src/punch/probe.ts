import { equal } from '../identity.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from '../nat/stun.ts';
import { encodeXorAddress, mappedAddress } from '../nat/stun-address.ts';
import { integrityOf } from '../nat/stun-integrity.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { Role } from './keys.ts';
import { STRATEGIES, type Strategy } from './strategies.ts';

// A probe is a STUN message (RFC 8489) of a method that no server knows:
//
//  question  CONTENT · PADDING, 20 zeros     · MESSAGE-INTEGRITY-SHA256, 16 bytes · FINGERPRINT    96 bytes
//  answer    CONTENT · XOR-MAPPED-ADDRESS    · MESSAGE-INTEGRITY-SHA256, 16 bytes · FINGERPRINT    84 bytes, or 96 for IPv6
//
// CONTENT: link id 16 · role of the sender 1 · strategy 1 · nomination 2

/** Unassigned at IANA, and low enough for a first byte of 0 to 3. */
export const PROBE = 0x0d7;
const CONTENT = 0x7ad0;

const LINK_SIZE = 16;
/** CONTENT is the first attribute after STUN's header of 20 bytes, and begins with the link's id. */
const LINK_AT = 24;
const MAC_SIZE = 16;
/** STUN's attribute header, and FINGERPRINT as a whole, which is last. */
const ATTRIBUTE_HEADER = 4;
const FINGERPRINT_SIZE = 8;

/** As long as an IPv6 address in an answer, so that no answer is larger than its question: else a probe would be worth reflecting. */
const PADDING = Buffer.alloc(20);

const ROLES: readonly Role[] = ['subscriber', 'publisher'];

/** The pair that the subscriber has chosen, and how it was found. The highest number counts. */
export interface Nomination {
  /** 1 to 65535. */
  readonly number: number;
  readonly strategy: Strategy;
}

export interface Probe {
  /** 12 bytes; an answer has that of its question. */
  readonly transactionId: Buffer;
  /** In a question of the subscriber: use this pair. In one of the publisher: it is used, from here. In an answer: it is being used. */
  readonly nomination?: Nomination | undefined;
  /** Where the question came from; this is what makes a probe an answer. */
  readonly seen?: Endpoint | undefined;
}

/** Who sends a probe on which link, and that sender's key. */
export interface Sender {
  readonly link: Buffer;
  readonly role: Role;
  readonly key: Buffer;
}

export function sealProbe(probe: Probe, sender: Sender): Buffer {
  const draft = encode(probe, sender, Buffer.alloc(MAC_SIZE));
  const at = draft.length - FINGERPRINT_SIZE - MAC_SIZE - ATTRIBUTE_HEADER;
  return encode(
    probe,
    sender,
    integrityOf(draft, at, ATTRIBUTE.messageIntegritySha256, sender.key, MAC_SIZE),
  );
}

/** A datagram as a probe of this sender, or undefined when it is anything else. Never throws. */
export function openProbe(bytes: Buffer, sender: Sender): Probe | undefined {
  // Other links share the socket, and strangers may know it: most of what is not for us goes no further.
  const link = bytes.subarray(LINK_AT, LINK_AT + LINK_SIZE);
  if (!sender.link.equals(link)) return undefined;
  const probe = decode(bytes, sender);
  // There is one way to write a probe. What is not written so, to the last bit of its MAC, is none.
  return probe && equal(bytes, sealProbe(probe, sender)) ? probe : undefined;
}

function encode({ transactionId, nomination, seen }: Probe, { link, role }: Sender, mac: Buffer): Buffer {
  const content = Buffer.concat([link, Buffer.alloc(4)]);
  content.writeUInt8(ROLES.indexOf(role), LINK_SIZE);
  if (nomination) {
    content.writeUInt8(STRATEGIES.indexOf(nomination.strategy), LINK_SIZE + 1);
    content.writeUInt16BE(nomination.number, LINK_SIZE + 2);
  }
  return encodeStun({
    class: seen ? 'success' : 'request',
    method: PROBE,
    transactionId,
    attributes: [
      [CONTENT, content],
      seen
        ? [ATTRIBUTE.xorMappedAddress, encodeXorAddress(seen, transactionId)]
        : [ATTRIBUTE.padding, PADDING],
      [ATTRIBUTE.messageIntegritySha256, mac],
    ],
  });
}

function decode(bytes: Buffer, { link, role }: Sender): Probe | undefined {
  const message = decodeStun(bytes);
  const content = message?.attributes.get(CONTENT);
  if (message?.method !== PROBE || content?.length !== LINK_SIZE + 4) return undefined;
  if (!link.equals(content.subarray(0, LINK_SIZE)) || content[LINK_SIZE] !== ROLES.indexOf(role))
    return undefined;
  const number = content.readUInt16BE(LINK_SIZE + 2);
  const strategy = STRATEGIES[content.readUInt8(LINK_SIZE + 1)];
  const nomination = number > 0 && strategy ? { number, strategy } : undefined;
  const seen = message.class === 'success' ? mappedAddress(message) : undefined;
  // A view into the datagram would keep it alive, and change with it.
  return { transactionId: Buffer.from(message.transactionId), nomination, seen };
}
