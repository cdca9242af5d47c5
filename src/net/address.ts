import { isIP, isIPv4 } from 'node:net';
import { UnderpassError } from '../errors.ts';

/** Where a server listens when nobody says otherwise. */
export const DEFAULT_PORT = 4040;
/** Where a STUN server listens when nobody says otherwise (RFC 8489 section 18.6). */
export const DEFAULT_STUN_PORT = 3478;
/** More of them tell nothing more, and all are asked at once. */
export const MAX_STUN_SERVERS = 8;

/** A server as a client reaches it. */
export interface ServerAddress {
  /** Scheme, host, port and prefix without a trailing slash, as `wss://host:4040`: a path is appended to it. */
  readonly url: string;
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether it is reached over TLS. */
  readonly secure: boolean;
}

/** A STUN server as a user names it. */
export interface StunAddress {
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where a server listens. Port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** `host`, `host:port` or `[v6]:port`: no scheme, no path. */
const BARE = /^(\[[^[\]]+\]|[^\s:/?#@[\]\\]+)(?::(\d{1,5}))?$/;
const URL_LIKE = /^(wss?):\/\/([^/?#@\\]+)(\/[^?#\\]*)?$/i;

/**
 * Reads what `--server` takes: `host`, `host:port`, `wss://host[:port][/prefix]` or `ws://…`. Without a scheme the port
 * is 4040 by default; a URL has its scheme's own (443 or 80), as the address of a reverse proxy does. Throws
 * `address_invalid`.
 */
export function parseServerAddress(text: string): ServerAddress {
  const [, scheme, rest = text.trim(), prefix = ''] = URL_LIKE.exec(text.trim()) ?? [];
  const [, authority, digits] = BARE.exec(rest) ?? [];
  const secure = scheme?.toLowerCase() !== 'ws';
  const usual = scheme === undefined ? DEFAULT_PORT : secure ? 443 : 80;
  const port = digits === undefined ? usual : Number(digits);
  if (authority === undefined || port < 1 || port > 65535) throw invalid(text);
  const host = canonicalHost(authority, text);
  const url = `${secure ? 'wss' : 'ws'}://${formatAddress(host, port)}${prefix.replace(/\/+$/, '')}`;
  if (!URL.canParse(url)) throw invalid(text);
  return { url, host, port, secure };
}

/** Reads what `listen` takes: `0.0.0.0:4040`, `[::]:4040`, `ws://127.0.0.1:4040` (plain). Throws `address_invalid`. */
export function parseListenAddress(text: string): ListenAddress {
  const [, scheme, rest = ''] = /^(?:(wss?):\/\/)?(.*)$/i.exec(text.trim()) ?? [];
  const [, authority, digits] = BARE.exec(rest) ?? [];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (authority === undefined || port > 65535) throw invalid(text);
  return { host: canonicalHost(authority, text), port, secure: scheme?.toLowerCase() !== 'ws' };
}

/** Reads what `--stun` takes: `host`, `host:port` or `[v6]:port`; the port is 3478 by default. Throws `address_invalid`. */
export function parseStunServer(text: string): StunAddress {
  const [, authority, digits] = BARE.exec(text.trim()) ?? [];
  const port = digits === undefined ? DEFAULT_STUN_PORT : Number(digits);
  if (authority === undefined || port < 1 || port > 65535) throw invalid(text);
  return { host: canonicalHost(authority, text), port };
}

/** Reads all the STUN servers that a user names. Throws `address_invalid`, and `argument_invalid` when they are too many. */
export function parseStunServers(texts: readonly string[]): StunAddress[] {
  if (texts.length > MAX_STUN_SERVERS) {
    const problem = `at most ${MAX_STUN_SERVERS} STUN servers can be asked, not ${texts.length}`;
    throw new UnderpassError('argument_invalid', { problem });
  }
  return texts.map(parseStunServer);
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether traffic to this host stays on this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === 'localhost' || name === '::1') return true;
  const v4 = unmapped(name);
  return isIPv4(v4) && v4.startsWith('127.');
}

/** An IPv4 address that a dual-stack socket shows as IPv6 (`::ffff:192.0.2.1`), as IPv4. Others are left alone. */
export function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** Lower case, punycode, and addresses in their usual form: what two spellings of one host have in common. */
function canonicalHost(authority: string, text: string): string {
  const url = `ws://${authority}`;
  if (!URL.canParse(url)) throw invalid(text);
  const host = new URL(url).hostname;
  if (!host.startsWith('[')) return host;
  const address = host.slice(1, -1);
  if (isIP(address) !== 6) throw invalid(text);
  return address;
}

function invalid(address: string): UnderpassError {
  return new UnderpassError('address_invalid', { address });
}
