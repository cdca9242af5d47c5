import type { Certificate } from '../../certificate.ts';
import { asUnderpassError, UnderpassError } from '../../errors.ts';
import { RelayCarrier } from '../../relay/carrier.ts';
import type { ExpectedStream } from '../../relay/client.ts';
import type { FromServer } from '../../signaling/messages.ts';
import {
  type Capability,
  createAnswer,
  createOffer,
  type LinkMode,
  type PeerProof,
  verifyAnswer,
  verifyOffer,
} from '../../signaling/offer.ts';
import type { PortRange } from '../../signaling/offered-ports.ts';
import type { Connection } from '../connection.ts';
import { DirectSearch } from '../direct/direct-search.ts';
import { EarlyListener } from './early-listener.ts';
import { Link, type LinkBounds, type LinkOptions, MAX_CHANNELS } from './link.ts';
import { type Agreement, agree, directUnavailable, type Wish } from './link-mode.ts';
import type { Meeting } from './meeting.ts';

/** A link, and what it takes for its two ends to meet again when the server has forgotten them. */
export interface EstablishedLink {
  readonly link: Link;
  /** The Ed25519 public key of whoever is at the other end. */
  readonly identity: Buffer;
  /** The link's id at its first meeting, 16 bytes: its name among the two ends. */
  readonly id: Buffer;
  readonly certificate: Certificate;
  readonly peerFingerprint: Buffer;
  readonly search: DirectSearch;
}

/** One to a publisher, with what that offers. */
export interface RequestedLink {
  readonly established: EstablishedLink;
  readonly ports: readonly PortRange[];
}

type LinkEvents = Pick<
  LinkOptions,
  'onChannel' | 'onDatagram' | 'onOffence' | 'onClose' | 'onPath' | 'onRelayLost'
> &
  Pick<Meeting, 'onTrouble'>;

/** What a subscriber asks for. */
export interface LinkRequest {
  readonly name: string;
  /** What the server compares. */
  readonly hash: string;
  readonly peerKey: Buffer;
  readonly mode: LinkMode;
  readonly bounds: LinkBounds;
  /** Wait for a publisher that is not there yet. */
  readonly wait: boolean;
  /** A link that has lost the server's relay, to be gone on with if the publisher has it yet. */
  readonly resume: EstablishedLink | undefined;
  readonly onWaiting: () => void;
  readonly signal: AbortSignal;
}

/** What a publisher answers with. */
export interface LinkAcceptance {
  readonly peerKey: Buffer;
  readonly mode: LinkMode;
  readonly bounds: LinkBounds;
  /** The link with this first id, if there is one. */
  readonly find: (id: Buffer) => EstablishedLink | undefined;
  /** What is offered. */
  readonly ports: readonly PortRange[];
  /** Called once the offer has been verified. Throws where whoever has this identity may not connect, or not once more. */
  readonly admit: (identity: Buffer, isNew: boolean) => void;
}

const NONCE_SIZE = 32;
const LINK_ID_SIZE = 16;

/** A direct path has to be found by then where nothing else will do, in milliseconds: longer than any search takes. */
const DIRECT_TIMEOUT = 90_000;

/**
 * Builds a link to the publisher of a name: offer and answer through the server, then the relay carrier, while a direct path is looked
 * for. Where it may resume one, and the publisher has not forgotten it, it returns that one. Rejects with what the server, the peer
 * or the network says: `tunnel_not_found`, `invalid_secret`, `peer_unverified`, `peer_certificate`, `direct_unavailable` …
 */
export async function requestLink(
  connection: Connection,
  request: LinkRequest,
  events: LinkEvents,
): Promise<RequestedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name, hash, peerKey, mode, bounds, wait, resume, onWaiting, signal } = request;
  const id = runtime.randomBytes(LINK_ID_SIZE);
  const certificate = resume?.certificate ?? (await connection.takeCertificate());
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const { fingerprint } = certificate;
  const own = { peerKey, link: id, nonce, fingerprint, identity, mode, resumes: resume?.id };
  const { offer, mac } = createOffer({ ...own, capabilities: capabilitiesOf(connection), keyId: 0 });
  const stream = relay.expect(id);
  const link = id.toString('base64url');
  const early = new EarlyListener(connection, link);
  try {
    await relay.recover();
    const fields = { link, name, key_id: 0, hash, offer: text(offer), mac: text(mac), wait };
    const reply = await signaling.connect(fields, onWaiting, signal);
    const received = { answer: bytes(reply.answer), mac: bytes(reply.mac) };
    const answer = verifyAnswer({ peerKey, name, link: id, offer, ...received });
    const agreement = agree(wishOf(connection, mode), wishOfPeer(answer), reply.direct);
    refuseIfHopeless(name, agreement);
    // Its channels are gone: what the publisher has of them is of no use any more.
    if (resume?.link.closed) throw new UnderpassError('peer_lost', { name });
    const isKnown = resume?.peerFingerprint.equals(answer.fingerprint) ?? false;
    const met: Met = {
      role: 'subscriber',
      ...{ name, certificate, peer: answer, peerKey, agreement, bounds, early, stream },
      known: isKnown ? resume : undefined,
      datagrams: answer.ports.some(isUdp),
      transcript: {
        link: id,
        ...{ offerNonce: nonce, offerFingerprint: fingerprint },
        ...{ answerNonce: answer.nonce, answerFingerprint: answer.fingerprint },
      },
    };
    return { established: await establish(connection, met, events, signal), ports: answer.ports };
  } catch (error) {
    early.close();
    stream.cancel();
    if (connection.online) signaling.closeLink(link);
    throw error;
  }
}

/**
 * Answers a subscriber's offer, once it has been verified, and builds the link, or goes on with one. Rejects with `peer_unverified`,
 * `peer_certificate`, `direct_unavailable`, `server_lost` …
 */
export async function acceptLink(
  connection: Connection,
  message: FromServer<'p2p_offer'>,
  { peerKey, mode, bounds, ports, find, admit }: LinkAcceptance,
  events: LinkEvents,
): Promise<EstablishedLink> {
  const { signaling, relay, runtime, identity } = connection;
  const { name } = message;
  const id = bytes(message.link);
  const received = { offer: bytes(message.offer), mac: bytes(message.mac) };
  const offer = verifyOffer({ peerKey, name, link: id, ...received });
  const agreement = agree(wishOf(connection, mode), wishOfPeer(offer), message.direct);
  const found = offer.resumes && find(offer.resumes);
  const known = found !== undefined && isSamePeer(found, offer) ? found : undefined;
  admit(offer.identity, known === undefined);
  const certificate = known?.certificate ?? (await connection.takeCertificate());
  const nonce = runtime.randomBytes(NONCE_SIZE);
  const { fingerprint } = certificate;
  const own = { peerKey, link: id, nonce, fingerprint, identity, mode, offer, ports };
  const { answer, mac } = createAnswer({ ...own, capabilities: capabilitiesOf(connection) });
  const stream = relay.expect(id);
  const early = new EarlyListener(connection, message.link);
  try {
    await relay.recover();
    // Even where nothing comes of it: the answer tells the other end why.
    signaling.answer(message.link, text(answer), text(mac));
    refuseIfHopeless(name, agreement);
    const met: Met = {
      role: 'publisher',
      ...{ name, certificate, peer: offer, peerKey, agreement, bounds, early, stream, known },
      datagrams: ports.some(isUdp),
      transcript: {
        link: id,
        ...{ offerNonce: offer.nonce, offerFingerprint: offer.fingerprint },
        ...{ answerNonce: nonce, answerFingerprint: fingerprint },
      },
    };
    return await establish(connection, met, events);
  } catch (error) {
    early.close();
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
  readonly bounds: LinkBounds;
  readonly early: EarlyListener;
  readonly stream: ExpectedStream;
  /** Whether any of what is offered is over UDP. */
  readonly datagrams: boolean;
  /** The link that these two have already. */
  readonly known: EstablishedLink | undefined;
}

function establish(
  connection: Connection,
  met: Met,
  events: LinkEvents,
  signal?: AbortSignal,
): Promise<EstablishedLink> {
  return met.known === undefined
    ? establishNew(connection, met, events, signal)
    : establishAgain(connection, met, met.known, events, signal);
}

async function establishNew(
  connection: Connection,
  met: Met,
  events: LinkEvents,
  signal?: AbortSignal,
): Promise<EstablishedLink> {
  const { runtime } = connection;
  const { role, name, certificate, peer, transcript, bounds } = met;
  const { mayRelay } = met.agreement;
  const maxChannels = Math.min(MAX_CHANNELS, connection.channelsPerLink);
  let settle: (error?: UnderpassError) => void = () => {};
  const direct = new Promise<UnderpassError | undefined>((resolve) => {
    settle = resolve;
  });
  const search = new DirectSearch({ connection, role, name });
  const link: Link = new Link({
    ...{ name, runtime, maxChannels, mayRelay },
    ...{ grace: bounds.grace, buffers: bounds.buffers },
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
      // The peer may have died with its relay. Where the server has, the direct path is not to suffer from it.
      if (connection.relay.connected) search.check();
      connection.check();
      events.onRelayLost();
    },
    onClosing: () => search.close(),
  });
  const established = {
    ...{ link, identity: peer.identity, id: transcript.link, certificate },
    ...{ peerFingerprint: peer.fingerprint, search },
  };
  const abort = () => settle(asUnderpassError(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const onRelay = (reason: string) => settle(directUnavailable(name, reason));
    await attachRelay(connection, met, established, { ...events, onRelay }, signal);
    if (!mayRelay) {
      const deadline = runtime.setTimer(DIRECT_TIMEOUT, () => settle(directUnavailable(name, 'exhausted')));
      const error = await direct;
      deadline.cancel();
      if (error !== undefined) throw error;
    }
    return established;
  } catch (error) {
    link.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** A link that lives on gets a new relay carrier, and goes on looking for a direct path. What fails here leaves it as it was. */
async function establishAgain(
  connection: Connection,
  met: Met,
  known: EstablishedLink,
  events: LinkEvents,
  signal?: AbortSignal,
): Promise<EstablishedLink> {
  await attachRelay(connection, met, known, { ...events, onRelay: () => {} }, signal);
  if (known.link.closed) throw new UnderpassError('peer_lost', { name: met.name });
  return known;
}

/** Begins the search for a direct path, and gives the link its relay carrier. */
async function attachRelay(
  connection: Connection,
  met: Met,
  { link, search }: EstablishedLink,
  { onRelay, onTrouble }: Pick<Meeting, 'onRelay' | 'onTrouble'>,
  signal?: AbortSignal,
): Promise<void> {
  const { runtime, relay } = connection;
  const { role, name, certificate, peer, peerKey, transcript, agreement, early, datagrams } = met;
  // A closed channel's stream lives on for a round trip.
  const maxStreams = 2 * Math.min(MAX_CHANNELS, connection.channelsPerLink);
  const common = { certificate, peerFingerprint: peer.fingerprint, maxStreams };
  const { refusal } = agreement;
  search.begin({ ...{ link, peerKey, transcript, refusal, ...common }, onRelay, onTrouble }, early);
  const abort = () => met.stream.cancel();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await relay.ready();
    const handler = link.handler('relayed');
    const stream = await met.stream.arrival();
    const options = { role, name, runtime, datagrams, ...common, onDoubt: () => connection.check() };
    link.attach(handler, await RelayCarrier.establish(stream, options, handler));
    search.relayIsUp();
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Whether an offer is from who has the other end of a link: it shows the same certificate, and the same identity. */
function isSamePeer({ peerFingerprint, identity }: EstablishedLink, offer: PeerProof): boolean {
  return peerFingerprint.equals(offer.fingerprint) && identity.equals(offer.identity);
}

function isUdp({ protocol }: PortRange): boolean {
  return protocol !== 'tcp';
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
