/** What is used of quiche's configuration. Times in milliseconds, sizes in bytes. */
export interface QuicheConfig {
  setApplicationProtos(protocols: string[]): void;
  setMaxIdleTimeout(timeout: number): void;
  setMaxRecvUdpPayloadSize(size: number): void;
  setMaxSendUdpPayloadSize(size: number): void;
  setInitialMaxData(size: number): void;
  setInitialMaxStreamDataBidiLocal(size: number): void;
  setInitialMaxStreamDataBidiRemote(size: number): void;
  setInitialMaxStreamDataUni(size: number): void;
  setInitialMaxStreamsBidi(count: number): void;
  setInitialMaxStreamsUni(count: number): void;
  setMaxStreamWindow(size: number): void;
  setMaxConnectionWindow(size: number): void;
  setActiveConnectionIdLimit(count: number): void;
  setDisableActiveMigration(disabled: boolean): void;
  setCcAlgorithm(algorithm: number): void;
  enablePacing(enabled: boolean): void;
  enableDgram(enabled: boolean, receiveQueue: number, sendQueue: number): void;
  grease(enabled: boolean): void;
}

export interface QuicheAddress {
  readonly host: string;
  readonly port: number;
}

export interface QuicheError {
  /** Whether the application closed, rather than the transport. */
  readonly isApp: boolean;
  /** RFC 9000 section 20: TLS alerts are 0x100 and up. */
  readonly errorCode: number;
}

/** What is used of a connection. Methods throw an Error whose message is the name of quiche's error. */
export interface QuicheConnection {
  /** Decrypts in place. */
  recv(packet: Uint8Array, path: { from: QuicheAddress; to: QuicheAddress }): number;
  /** Writes one packet and returns its size first; null when there is nothing to send. */
  send(packet: Uint8Array): [size: number, ...unknown[]] | null;
  streamRecv(id: number, into: Uint8Array): [size: number, end: boolean] | null;
  streamSend(id: number, bytes: Uint8Array, end: boolean): number | null;
  /** Streams that the peer lets us open. */
  peerStreamsLeftBidi(): number;
  /** Bytes that the stream would take now. */
  streamCapacity(id: number): number;
  streamPriority(id: number, urgency: number, incremental: boolean): void;
  /** Whether there is any datagram, or stream with something to read. Much cheaper than to ask which. */
  isReadable(): boolean;
  /** All streams with something to read; they are named until it has been read. */
  readable(): Iterable<number>;
  /** The streams with room to write; none while the connection has none. */
  writable(): Iterable<number>;
  /** Milliseconds until `onTimeout` wants to be called; null for never. */
  timeout(): number | null;
  onTimeout(): void;
  close(app: boolean, code: number, reason: Uint8Array): unknown;
  /** Copies a datagram into its queue (RFC 9221). */
  dgramSend(datagram: Uint8Array): unknown;
  /** Writes the next datagram and returns its size; null when there is none. */
  dgramRecv(into: Uint8Array): number | null;
  dgramSendQueueLen(): number;
  /** Bytes of the largest datagram that fits a packet; null when the peer takes none. */
  dgramMaxWritableLen(): number | null;
  sendAckEliciting(): void;
  isEstablished(): boolean;
  isDraining(): boolean;
  isClosed(): boolean;
  isTimedOut(): boolean;
  applicationProto(): Uint8Array;
  /** DER, the peer's own certificate first. */
  peerCertChain(): Uint8Array[] | null;
  peerError(): QuicheError | null;
  localError(): QuicheError | null;
  stats(): { readonly recv: number };
  pathStats(): readonly { readonly rtt: number }[];
}

/** What is used of the native library. */
export interface Quiche {
  readonly Config: {
    withBoringSslCtx(
      verifyPeer: boolean,
      letAnyPass: boolean,
      authorities: null,
      keys: Uint8Array[] | null,
      certificates: Uint8Array[] | null,
      signatures: null,
    ): QuicheConfig;
  };
  readonly Connection: {
    connect(
      serverName: null,
      id: Uint8Array,
      local: QuicheAddress,
      peer: QuicheAddress,
      config: QuicheConfig,
    ): QuicheConnection;
    accept(
      id: Uint8Array,
      originalId: null,
      local: QuicheAddress,
      peer: QuicheAddress,
      config: QuicheConfig,
    ): QuicheConnection;
  };
  readonly CongestionControlAlgorithm: { readonly BBR: number };
}

export type QuicSupport =
  | { readonly available: true; readonly quiche: Quiche }
  /** There is no binary for this platform, or it does not load: direct paths are out of the question. */
  | { readonly available: false; readonly problem: string };

/** Whether something was thrown by the native library: a name of quiche's, about what the peer did. */
export function isQuicheError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'GenericFailure';
}

/** Loads the native library, which takes 12 ms and happens once. Never rejects. */
export async function loadQuiche(): Promise<QuicSupport> {
  try {
    const { default: quiche } = await import('@matrixai/quic/native/quiche.js');
    // The package's own types are wider, and say `undefined` where the binary takes only null.
    return { available: true, quiche: quiche as unknown as Quiche };
  } catch (error) {
    return { available: false, problem: error instanceof Error ? error.message : String(error) };
  }
}
