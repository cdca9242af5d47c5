import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';

/** Bytes that may wait to be read, as far as the system allows: its own few hundred packets are one burst of a game's level. */
const RECEIVE_BUFFER = 2 * 1024 * 1024;
/** macOS sends no datagram that is longer than this. */
const SEND_BUFFER = 256 * 1024;

/** Bytes that may wait for the system to take them; what comes on top is dropped. */
const MAX_UNSENT = 2 * 1024 * 1024;

/** A socket for an application's own datagrams; one of IPv6 carries IPv6 only. Like a timer, it keeps the process alive. */
export function createDatagramSocket(address: string): dgram.Socket {
  const isSix = isIPv6(address);
  return dgram.createSocket({ type: isSix ? 'udp6' : 'udp4', ipv6Only: isSix, lookup });
}

/** Room for bursts, and for the longest datagrams. The socket must have been bound. */
export function widen(socket: dgram.Socket): void {
  tolerate(() => socket.setRecvBufferSize(RECEIVE_BUFFER));
  tolerate(() => socket.setSendBufferSize(SEND_BUFFER));
}

/** Whether the system does not keep up: one more datagram would only wait. */
export function isCongested(socket: dgram.Socket): boolean {
  return socket.getSendQueueSize() > MAX_UNSENT;
}

/**
 * What a system says of a datagram that was sent before (as Windows' 10054, an ICMP message), or of one that has no room. The
 * socket is as good as it was.
 */
export function isPassing(error: NodeJS.ErrnoException): boolean {
  return PASSING.has(error.code ?? '');
}

const PASSING = new Set(
  'ECONNREFUSED ECONNRESET ENETRESET ECONNABORTED EHOSTUNREACH ENETUNREACH EHOSTDOWN ENETDOWN ENOBUFS ENOMEM EMSGSIZE EAGAIN EINTR EPERM EACCES EPROTO ETIMEDOUT EADDRNOTAVAIL'.split(
    ' ',
  ),
);

/** Some systems refuse what Linux cuts down: then more of a burst is lost. */
function tolerate(set: () => void): void {
  try {
    set();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_BUFFER_SIZE') throw error;
  }
}

/** Addresses are addresses already: the resolver, dgram's own way, would put each packet off to a later tick. */
function lookup(
  address: string,
  options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, address, options === 6 ? 6 : 4);
}
