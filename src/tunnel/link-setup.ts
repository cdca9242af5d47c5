import { asUnderpassError, UnderpassError } from '../errors.ts';
import { RelayCarrier } from '../relay/carrier.ts';
import type { ExpectedStream } from '../relay/client.ts';
import type { FromServer } from '../signaling/messages.ts';
import {
  type Capability,
  createAnswer,
  createOffer,
  type LinkMode,
  type PeerProof,
  verifyAnswer,
  verifyOffer,
} from '../signaling/offer.ts';
import type { PortRange } from '../signaling/offered-ports.ts';
import type { Connection } from './connection.ts';
import { DirectSearch } from './direct-search.ts';
import { Link, type LinkOptions, MAX_CHANNELS } from './link.ts';
import { type Agreement, agree, directUnavailable, type Wish } from './link-mode.ts';
import type { Meeting } from './meeting.ts';

/** A link that is up, and the Ed25519 public key of whoever is at the other end. */
export interface EstablishedLink {
  readonly link: Link;
  readonly identity: Buffer;
}

/** One to a publisher, with what that offers. */
export interface RequestedLink extends EstablishedLink {
  readonly ports: readonly PortRange[];
}

type LinkEvents = Pick<LinkOptions, 'onChannel' | 'onClose' | 'onPath' | 'onRelayLost'> &
  Pick<Meeting, 'onTrouble'>;

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

/** What a publisher answers with. */
export interface LinkAcceptance {
  readonly peerKey: Buffer;
  readonly mode: LinkMode;
  readonly ports: readonly PortRange[];
  /** Throws when whoever has this identity may not connect. */
  readonly admit: (identity: Buffer) => void;
}

const NONCE_SIZE = 32;
const LINK_ID_SIZE = 16;

/** A direct path has to be found by then where nothing else will do, in milliseconds: longer than any search takes. */
const DIRECT_TIMEOUT = 90_000;

/**
 * Builds a link to the publisher of a name: offer and answer through the server, then the relay carrier, while a direct path is looked
 * for. Rejects with what the server, the peer or the network says: `tunnel_not_found`, `invalid_secret`, `peer_unverified`,
 * `peer_certificate`, `direct_unavailable` …
 */
export async function requestLink(
  connection: Connection,
  request: LinkRequest,
  events: LinkEvents,
): Promise<RequestedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name, hash, peerKey, mode, wait, onWaiting, signal } = request;
  const id = runtime.randomBytes(LINK_ID_SIZE);
  const certificate = await connection.takeCertificate();
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const { fingerprint } = certificate;
  const own = { peerKey, link: id, nonce, fingerprint, identity, mode };
  const { offer, mac } = createOffer({ ...own, capabilities: capabilitiesOf(connection), keyId: 0 });
  const stream = relay.expect(id);
  const search = new DirectSearch({ connection, role: 'subscriber', name, link: id });
  try {
    const link = id.toString('base64url');
    const fields = { link, name, key_id: 0, hash, offer: text(offer), mac: text(mac), wait };
    const reply = await signaling.connect(fields, onWaiting, signal);
    const received = { answer: bytes(reply.answer), mac: bytes(reply.mac) };
    const answer = verifyAnswer({ peerKey, name, link: id, offer, ...received });
    const agreement = agree(wishOf(connection, mode), wishOfPeer(answer), reply.direct);
    refuseIfHopeless(name, agreement);
    const met: Met = {
      role: 'subscriber',
      ...{ name, certificate, peer: answer, peerKey, agreement, search, stream },
      transcript: {
        link: id,
        ...{ offerNonce: nonce, offerFingerprint: fingerprint },
        ...{ answerNonce: answer.nonce, answerFingerprint: answer.fingerprint },
      },
    };
    const established = await establish(connection, met, events, signal);
    return { link: established, identity: answer.identity, ports: answer.ports };
  } catch (error) {
    search.close();
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
  { peerKey, mode, ports, admit }: LinkAcceptance,
  events: LinkEvents,
): Promise<EstablishedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name } = message;
  const id = bytes(message.link);
  const received = { offer: bytes(message.offer), mac: bytes(message.mac) };
  const offer = verifyOffer({ peerKey, name, link: id, ...received });
  admit(offer.identity);
  const agreement = agree(wishOf(connection, mode), wishOfPeer(offer), message.direct);
  const certificate = await connection.takeCertificate();
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const { fingerprint } = certificate;
  const own = { peerKey, link: id, nonce, fingerprint, identity, mode, offer, ports };
  const { answer, mac } = createAnswer({ ...own, capabilities: capabilitiesOf(connection) });
  const stream = relay.expect(id);
  const search = new DirectSearch({ connection, role: 'publisher', name, link: id });
  try {
    // Even where nothing comes of it: the answer tells the other end why.
    signaling.answer(message.link, text(answer), text(mac));
    refuseIfHopeless(name, agreement);
    const met: Met = {
      role: 'publisher',
      ...{ name, certificate, peer: offer, peerKey, agreement, search, stream },
      transcript: {
        link: id,
        ...{ offerNonce: offer.nonce, offerFingerprint: offer.fingerprint },
        ...{ answerNonce: nonce, answerFingerprint: fingerprint },
      },
    };
    return { link: await establish(connection, met, events), identity: offer.identity };
  } catch (error) {
    search.close();
    stream.cancel();
    throw error;
  }
}

/** What offer and answer have led to. */
interface Met extends Pick<Meeting, 'certificate' | 'transcript' | 'peerKey'> {
  readonly role: 'subscriber' | 'publisher';
  readonly name: string;
  readonly peer: PeerProof;
  readonly agreement: Agreement;
  readonly search: DirectSearch;
  readonly stream: ExpectedStream;
}

async function establish(
  connection: Connection,
  met: Met,
  events: LinkEvents,
  signal?: AbortSignal,
): Promise<Link> {
  const { runtime, relay } = connection;
  const { role, name, certificate, peer, peerKey, transcript, search } = met;
  const { mayRelay, refusal } = met.agreement;
  const maxChannels = Math.min(MAX_CHANNELS, connection.channelsPerLink);
  // A closed channel's stream lives on for a round trip.
  const maxStreams = 2 * maxChannels;
  let settle: (error?: UnderpassError) => void = () => {};
  const direct = new Promise<UnderpassError | undefined>((resolve) => {
    settle = resolve;
  });
  const link: Link = new Link({
    ...{ name, runtime, maxChannels, mayRelay },
    ...events,
    onPath: (path) => {
      if (path.kind === 'direct') settle();
      events.onPath(path);
    },
    onClose: (error) => {
      settle(error ?? new UnderpassError('peer_lost', { name }));
      events.onClose(error);
    },
    onRelayLost: () => {
      // The peer may have died with its relay.
      search.check();
      events.onRelayLost();
    },
    onClosing: () => search.close(),
  });
  const common = { certificate, peerFingerprint: peer.fingerprint, maxStreams };
  search.begin({
    ...{ link, peerKey, transcript, refusal, ...common },
    onRelay: (reason) => settle(directUnavailable(name, reason)),
    onTrouble: (error) => events.onTrouble(error),
  });
  const abort = () => {
    met.stream.cancel();
    settle(asUnderpassError(signal?.reason));
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await relay.ready();
    const handler = link.handler('relayed');
    const stream = await met.stream.arrival();
    link.attach(handler, await RelayCarrier.establish(stream, { role, name, runtime, ...common }, handler));
    search.relayIsUp();
    if (!mayRelay) {
      const deadline = runtime.setTimer(DIRECT_TIMEOUT, () => settle(directUnavailable(name, 'exhausted')));
      const error = await direct;
      deadline.cancel();
      if (error !== undefined) throw error;
    }
    return link;
  } catch (error) {
    link.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Throws where one end wants nothing but a direct path, and none is looked for. */
function refuseIfHopeless(name: string, { mayRelay, refusal }: Agreement): void {
  if (!mayRelay && refusal !== undefined) throw directUnavailable(name, refusal);
}

function capabilitiesOf({ quiche }: Connection): readonly Capability[] {
  return quiche === undefined ? [] : ['direct'];
}

function wishOf({ quiche }: Connection, mode: LinkMode): Wish {
  return { mode, canDirect: quiche !== undefined };
}

function wishOfPeer({ mode, capabilities }: PeerProof): Wish {
  return { mode, canDirect: capabilities.includes('direct') };
}

function text(data: Buffer): string {
  return data.toString('base64url');
}

function bytes(data: string): Buffer {
  return Buffer.from(data, 'base64url');
}
