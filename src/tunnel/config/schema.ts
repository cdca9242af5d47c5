import { isIP } from 'node:net';
import { z } from 'zod';
import { parseFingerprint } from '../../certificate.ts';
import { catalogue, UnderpassError } from '../../errors.ts';
import { isTunnelName } from '../../identity.ts';
import { parseListenAddress, parseServerAddress, parseStunServer } from '../../net/address.ts';
import type { LinkMode } from '../../signaling/offer.ts';
import { parseIdentityFingerprint } from '../admission.ts';

/** What `mode` may be. */
export const LINK_MODES = ['auto', 'relay', 'direct'] as const satisfies readonly LinkMode[];

const MAX_SECRET_BYTES = 1024;

/** A secret as `deriveTunnelKey` takes it. */
export function isSecret(text: string): boolean {
  const bytes = Buffer.byteLength(text.normalize('NFC'));
  return bytes > 0 && bytes <= MAX_SECRET_BYTES && !/\p{Surrogate}/u.test(text);
}

/** A port to listen on or connect to; 0 lets the system choose, where that makes sense. */
export function isPort(value: number, { zero = false } = {}): boolean {
  return Number.isInteger(value) && value >= (zero ? 0 : 1) && value <= 65535;
}

/** A host name or an IP address, without a port. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || (/^[\p{L}\p{N}._-]{1,253}$/u.test(text) && !/^[\d.]+$/.test(text));
}

const text = (valid: (text: string) => boolean, problem: string) => z.string().refine(valid, problem);

export const port = (options?: { zero: boolean }) =>
  z.number().refine((value) => isPort(value, options), catalogue.port_invalid.hint);
export const ports = z.union([z.number(), z.string(), z.array(z.union([z.number(), z.string()]))], {
  error: 'must be a port or a list of ports',
});
export const identity = text(
  (value) => parseIdentityFingerprint(value) !== undefined,
  'must be the fingerprint of a key, such as 3f2a-91bc-0d4e-77a1-c2f0',
);
export const wholeNumber = (least: number, most: number) => z.int().min(least).max(most);
export const host = text(isHost, 'must be a host name or an IP address, without a port');
export const ipAddress = text((value) => isIP(value) !== 0, 'must be an IP address');
export const name = text(isTunnelName, catalogue.name_invalid.hint);
export const secret = text(isSecret, catalogue.secret_invalid.message);
export const path = text((value) => value.length > 0, 'must be the path of a file');
export const token = text(
  (value) => /^[\x21-\x7e]{1,1024}$/.test(value),
  'must be 1 to 1024 visible ASCII characters',
);
export const fingerprint = text((value) => parseFingerprint(value) !== undefined, 'must be 64 hex digits');
export const serverAddress = text(accepts(parseServerAddress), catalogue.address_invalid.hint);
export const listenAddress = text(
  accepts(parseListenAddress),
  'must be host:port, wss://host:port or ws://host:port',
);
export const plainAddress = text(
  (value) => !value.includes('://') && accepts(parseListenAddress)(value),
  'must be host:port',
);
export const stunServer = text(accepts(parseStunServer), 'must be host:port');
export const network = text(isNetwork, 'must be an IP address or a network such as 10.0.0.0/8');

function accepts(parse: (text: string) => unknown): (text: string) => boolean {
  return (value) => {
    try {
      parse(value);
      return true;
    } catch (error) {
      if (error instanceof UnderpassError) return false;
      throw error;
    }
  };
}

function isNetwork(value: string): boolean {
  const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const family = isIP(address);
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 4 ? 32 : 128));
}
