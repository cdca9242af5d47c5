/** Finding a UPnP router: SSDP (UPnP Device Architecture 1.1, section 1.3). */
export const SSDP_PORT = 1900;
export const SSDP_GROUP = '239.255.255.250';

/** A router of either version answers to some of these, and many to not all. */
export const SEARCH_TARGETS = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
] as const;

const MAX_ANSWER = 4096;

/** `M-SEARCH` to a host, for one kind of device or service. MX 1: it may take a second to answer. */
export function encodeSearch(host: string, target: string): Buffer {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${host}:${SSDP_PORT}`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${target}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/**
 * Where an answer says the device's description is: only ever plain HTTP on the gateway itself, whatever the answer says, or
 * anybody in the LAN could make us ask any machine that we can reach for anything. Otherwise undefined. Never throws.
 */
export function decodeSearchAnswer(bytes: Buffer, gateway: string): URL | undefined {
  if (bytes.length > MAX_ANSWER) return undefined;
  const [status = '', ...lines] = bytes.toString('latin1').split(/\r?\n/);
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  for (const line of lines) {
    const [, location] = /^location:\s*(\S+)\s*$/i.exec(line) ?? [];
    if (location !== undefined) return urlOnGateway(location, gateway);
  }
  return undefined;
}

/** A URL that leads to the gateway by plain HTTP, or undefined. `base`: what a relative one is relative to. */
export function urlOnGateway(text: string, gateway: string, base?: URL): URL | undefined {
  if (!URL.canParse(text, base?.href)) return undefined;
  const url = new URL(text, base);
  const plain = url.protocol === 'http:' && url.username === '' && url.password === '' && url.port !== '0';
  return plain && url.hostname === gateway ? url : undefined;
}
