import { UnderpassError } from '../errors.ts';
import { Admission } from './admission.ts';
import type { PublishOptions, SubscribeOptions } from './api.ts';
import { type LocalPlan, parsePlan } from './local/local-plan.ts';
import { type OfferedPort, parsePorts } from './local/ports.ts';

/** Seconds that a link waits for another path, unless told otherwise, and at most. */
export const DEFAULT_GRACE = 60;
export const MAX_GRACE = 3600;
/** Seconds without a packet after which a UDP flow is forgotten, unless told otherwise, and at most. */
export const DEFAULT_UDP_IDLE = 60;
export const MAX_UDP_IDLE = 86_400;

/** MiB that the connections of one link may hold each way, unless told otherwise, at least and at most. */
export const DEFAULT_BUFFERS = 64;
export const MIN_BUFFERS = 4;
export const MAX_BUFFERS = 1024;

const MIB = 1024 * 1024;

/** What bounds the links of both ends: milliseconds, and bytes. */
interface Bounds {
  readonly grace: number;
  readonly udpIdle: number;
  readonly buffers: number;
}

/** A publisher's options, checked and with defaults filled in. */
export interface PublishSettings extends Bounds {
  readonly localHost: string;
  readonly ports: readonly OfferedPort[];
  readonly admission: Admission;
  /** Whether the service is told who connects. */
  readonly proxyProtocol: boolean;
}

/** A subscriber's, likewise. */
export interface SubscribeSettings extends Bounds {
  readonly listenHost: string;
  readonly plan: LocalPlan;
}

/** Throws `port_invalid`, `ports_invalid` or `argument_invalid`. */
export function publishSettings(options: PublishOptions): PublishSettings {
  const { localHost = 'localhost', localPort, ports, protocol, allow, deny, proxyProtocol } = options;
  return {
    localHost,
    ports: parsePorts(oneOf(localPort, ports), protocol),
    admission: new Admission({ allow, deny }),
    proxyProtocol: proxyProtocol === 'v2',
    ...boundsOf(options),
  };
}

/** Throws `port_invalid`, `ports_invalid` or `argument_invalid`. */
export function subscribeSettings(options: SubscribeOptions): SubscribeSettings {
  const { listenHost = '127.0.0.1', localPort, ports, protocol } = options;
  return { listenHost, plan: parsePlan(oneOf(localPort, ports), protocol), ...boundsOf(options) };
}

/** Whether a whole number is among those that a setting may have. */
export function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function boundsOf({
  grace = DEFAULT_GRACE,
  udpIdle = DEFAULT_UDP_IDLE,
  buffers = DEFAULT_BUFFERS,
}: PublishOptions | SubscribeOptions): Bounds {
  if (!isWithin(grace, 0, MAX_GRACE)) throw invalid(`grace is 0 to ${MAX_GRACE} seconds`);
  if (!isWithin(udpIdle, 1, MAX_UDP_IDLE)) throw invalid(`udpIdle is 1 to ${MAX_UDP_IDLE} seconds`);
  if (!isWithin(buffers, MIN_BUFFERS, MAX_BUFFERS))
    throw invalid(`buffers is ${MIN_BUFFERS} to ${MAX_BUFFERS} MiB`);
  return { grace: grace * 1000, udpIdle: udpIdle * 1000, buffers: buffers * MIB };
}

function oneOf<T>(localPort: number | undefined, ports: T | undefined): number | T {
  if (ports !== undefined && localPort !== undefined)
    throw invalid('localPort and ports exclude one another');
  const given = ports ?? localPort;
  if (given === undefined) throw invalid('localPort or ports is needed');
  return given;
}

function invalid(problem: string): UnderpassError {
  return new UnderpassError('argument_invalid', { problem });
}
