import type { Quiche, QuicheConfig } from './binding.ts';

/** The protocol that both peers must agree on (ALPN, RFC 7301). */
export const ALPN = 'underpass/1';

/** Bytes of a packet that we send. Fits every path of the internet but the oddest, tunnels included. */
export const PACKET_SIZE = 1350;

/** The largest packet that is looked at: what fits an Ethernet frame. */
export const MAX_PACKET_SIZE = 1500;

/** What a stream may have on its way to us; more than a path of 400 Mbit/s and 200 ms holds. */
const STREAM_WINDOW = 10 * 1024 * 1024;

/** And all streams together: one that nobody reads leaves room for the others. */
const CONNECTION_WINDOW = 15 * 1024 * 1024;

/** More than is given to quiche at a time: the control stream shows how much room the connection has. */
const CONTROL_WINDOW = 256 * 1024;

/**
 * How many more streams than may be open at a time quiche lets the peer have: a stream counts there until the last
 * acknowledgement. Whatever is too much is refused by the carrier.
 */
export const STREAM_SLACK = 4;

/** Datagrams that may wait in quiche to be delivered, which happens each turn: small ones share a packet. The oldest is dropped. */
const RECEIVED_DATAGRAMS = 1024;

/** And to be sent: the carrier gives it fewer. */
const SENT_DATAGRAMS = 256;

export interface ConfigOptions {
  readonly role: 'subscriber' | 'publisher';
  /** PEM. */
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly maxStreams: number;
  readonly idleTimeout: number;
}

/** The configuration of one connection. Without a session or a token of ours there is no resumption and no 0-RTT. */
export function createConfig(quiche: Quiche, options: ConfigOptions): QuicheConfig {
  const { cert, key } = options.certificate;
  // Any certificate passes here, and none fails: the carrier compares it with the pin.
  const config = quiche.Config.withBoringSslCtx(
    true,
    true,
    null,
    [Buffer.from(key)],
    [Buffer.from(cert)],
    null,
  );
  config.setApplicationProtos([ALPN]);
  config.setMaxIdleTimeout(options.idleTimeout);
  config.setMaxRecvUdpPayloadSize(MAX_PACKET_SIZE);
  config.setMaxSendUdpPayloadSize(PACKET_SIZE);
  config.setInitialMaxData(CONNECTION_WINDOW);
  config.setMaxConnectionWindow(CONNECTION_WINDOW);
  config.setInitialMaxStreamDataBidiLocal(STREAM_WINDOW);
  config.setInitialMaxStreamDataBidiRemote(STREAM_WINDOW);
  config.setMaxStreamWindow(STREAM_WINDOW);
  // Streams are opened by the subscriber only; the one without a way back is the control stream.
  config.setInitialMaxStreamsBidi(options.role === 'publisher' ? options.maxStreams * STREAM_SLACK : 0);
  config.setInitialMaxStreamsUni(1);
  config.setInitialMaxStreamDataUni(CONTROL_WINDOW);
  // The peer has one address for quiche, always: whatever else it says about ids and paths is of no use to it.
  config.setActiveConnectionIdLimit(2);
  config.setDisableActiveMigration(true);
  // CUBIC stays under 10 Mbit/s where 1 % is lost. BBR wants pacing, but nothing here could honour it.
  config.setCcAlgorithm(quiche.CongestionControlAlgorithm.BBR);
  config.enablePacing(false);
  config.enableDgram(true, RECEIVED_DATAGRAMS, SENT_DATAGRAMS);
  config.grease(false);
  return config;
}
