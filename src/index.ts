export { catalogue, type ErrorCategory, type ErrorCode, UnderpassError } from './errors.ts';
export { isTunnelName, isWeakSecret } from './identity.ts';
export { createLogger, type LogFormat, type Logger, type LogLevel, silentLogger } from './log.ts';
export type { NatType } from './nat/behaviour.ts';
export { directPlay, type NatKind, natKind, type Strategy, strategyOf } from './nat/people.ts';
export { type NatReport, verdictOf } from './nat/report.ts';
export type { Protocol } from './signaling/offered-ports.ts';
export { parseIdentityFingerprint } from './tunnel/admission.ts';
export type {
  ClientOptions,
  PublishedTunnel,
  PublishOptions,
  RunningServer,
  SubscribeOptions,
  Tunnel,
} from './tunnel/api.ts';
export { Client } from './tunnel/client.ts';
export {
  type ClientConfig,
  exposedSecretFile,
  loadClientConfig,
} from './tunnel/config/client-config.ts';
export { isHost, isPort, isSecret, LINK_MODES } from './tunnel/config/schema.ts';
export { loadServerConfig, type ServerConfig, type ServerOverrides } from './tunnel/config/server-config.ts';
export { readSecretFile } from './tunnel/config/text-file.ts';
export type { TunnelConfig } from './tunnel/config/tunnel-config.ts';
export type { TunnelEvent } from './tunnel/events.ts';
export { parsePlan } from './tunnel/local/local-plan.ts';
export { formatPorts, type PortSpec, parsePorts } from './tunnel/local/ports.ts';
export { type MeasureNatOptions, measureNat } from './tunnel/nat-check.ts';
export { MAX_GRACE, MAX_UDP_IDLE } from './tunnel/options.ts';
export type { PeerStatus } from './tunnel/peers.ts';
export { type ServerOptions, startServer } from './tunnel/server.ts';
export { VERSION } from './version.ts';
