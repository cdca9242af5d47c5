import { createLinkCertificate } from '../certificate.ts';
import { UnderpassError } from '../errors.ts';
import { RelayCarrier } from '../relay/carrier.ts';
import type { FromServer } from '../signaling/messages.ts';
import { createAnswer, createOffer, type LinkMode, verifyAnswer, verifyOffer } from '../signaling/offer.ts';
import type { Connection } from './connection.ts';
import { Link, type LinkOptions, MAX_CHANNELS } from './link.ts';

/** A link that is up, and the Ed25519 public key of whoever is at the other end. */
export interface EstablishedLink {
  readonly link: Link;
  readonly identity: Buffer;
}

type LinkEvents = Pick<LinkOptions, 'onChannel' | 'onClose'>;

/** What a subscriber asks for. */
export interface LinkRequest {
  readonly name: string;
  /** What the server compares. */
  readonly hash: string;
  readonly peerKey: Buffer;
  readonly mode: LinkMode;
  /** Wait for a publisher that is not there yet. */
  readonly wait: boolean;
  readonly onWaiting: () => void;
  readonly signal: AbortSignal;
}

const NONCE_SIZE = 32;
const LINK_ID_SIZE = 16;

/**
 * Builds a link to the publisher of a name: offer and answer through the server, then the relay carrier. Rejects with what
 * the server, the peer or the network says: `tunnel_not_found`, `invalid_secret`, `peer_unverified`, `peer_certificate` …
 */
export async function requestLink(
  connection: Connection,
  request: LinkRequest,
  events: LinkEvents,
): Promise<EstablishedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name, hash, peerKey, mode, wait, onWaiting, signal } = request;
  const id = runtime.randomBytes(LINK_ID_SIZE);
  const certificate = await createLinkCertificate();
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const own = { peerKey, link: id, nonce, fingerprint: certificate.fingerprint, identity };
  const { offer, mac } = createOffer({ ...own, mode, keyId: 0 });
  const stream = relay.expect(id);
  try {
    const link = id.toString('base64url');
    const fields = { link, name, key_id: 0, hash, offer: text(offer), mac: text(mac), wait };
    const reply = await signaling.connect(fields, onWaiting, signal);
    const answer = verifyAnswer({
      peerKey,
      name,
      link: id,
      offer,
      answer: bytes(reply.answer),
      mac: bytes(reply.mac),
    });
    await relay.ready();
    const options = { role: 'subscriber', name, certificate, peerFingerprint: answer.fingerprint } as const;
    return {
      link: await establish(connection, options, await stream.arrival(), events),
      identity: answer.identity,
    };
  } catch (error) {
    stream.cancel();
    if (connection.online) signaling.closeLink(id.toString('base64url'));
    throw error;
  }
}

/**
 * Answers a subscriber's offer, once it has been verified, and builds the link. Rejects with `peer_unverified`,
 * `peer_certificate`, `direct_unavailable`, `server_lost` …
 */
export async function acceptLink(
  connection: Connection,
  message: FromServer<'p2p_offer'>,
  peerKey: Buffer,
  events: LinkEvents,
): Promise<EstablishedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name } = message;
  const id = bytes(message.link);
  const offer = verifyOffer({
    peerKey,
    name,
    link: id,
    offer: bytes(message.offer),
    mac: bytes(message.mac),
  });
  if (offer.mode === 'direct') throw new UnderpassError('direct_unavailable');
  const certificate = await createLinkCertificate();
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const { answer, mac } = createAnswer({
    peerKey,
    link: id,
    nonce,
    fingerprint: certificate.fingerprint,
    identity,
    offer,
  });
  const stream = relay.expect(id);
  try {
    signaling.answer(message.link, text(answer), text(mac));
    await relay.ready();
    const options = { role: 'publisher', name, certificate, peerFingerprint: offer.fingerprint } as const;
    return {
      link: await establish(connection, options, await stream.arrival(), events),
      identity: offer.identity,
    };
  } catch (error) {
    stream.cancel();
    throw error;
  }
}

type Side = Pick<
  Parameters<typeof RelayCarrier.establish>[1],
  'role' | 'name' | 'certificate' | 'peerFingerprint'
>;

async function establish(
  connection: Connection,
  side: Side,
  stream: Parameters<typeof RelayCarrier.establish>[0],
  events: LinkEvents,
): Promise<Link> {
  const { runtime } = connection;
  const maxChannels = Math.min(MAX_CHANNELS, connection.channelsPerLink);
  const link = new Link({ name: side.name, runtime, maxChannels, ...events });
  // A closed channel's stream lives on for a round trip.
  const maxStreams = 2 * maxChannels;
  link.attach(await RelayCarrier.establish(stream, { ...side, maxStreams, runtime }, link));
  return link;
}

function text(data: Buffer): string {
  return data.toString('base64url');
}

function bytes(data: string): Buffer {
  return Buffer.from(data, 'base64url');
}
