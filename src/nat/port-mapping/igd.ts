import { scopeOf } from '../../net/ip.ts';
import { urlOnGateway } from './ssdp.ts';
import { findAll, parseXml, textOf } from './xml.ts';

/**
 * What UPnP's InternetGatewayDevice calls the services that forward ports, the best first (WANIPConnection:2 section 2).
 * IGD:1 and IGD:2 differ in nothing that we use.
 */
const SERVICE_TYPES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
] as const;

/** A device with a connection of each kind, and then some. */
const MAX_SERVICES = 4;

/** One way to ask a router for a forwarded port. */
export interface IgdService {
  readonly type: (typeof SERVICE_TYPES)[number];
  /** On the gateway itself. */
  readonly control: URL;
}

/** The services in a device description that was read from `location`, the best first; none in what is no description. */
export function readDescription(document: string, location: URL): IgdService[] {
  const root = parseXml(document);
  if (!root) return [];
  const gateway = location.hostname;
  const base = urlOnGateway(textOf(root, 'urlbase') ?? '', gateway) ?? location;
  const offered = findAll(root, 'service');
  const services = SERVICE_TYPES.flatMap((type) =>
    offered
      .filter((service) => textOf(service, 'servicetype') === type)
      .map((service) => urlOnGateway(textOf(service, 'controlurl') ?? '', gateway, base))
      .filter((control) => control !== undefined)
      .map((control) => ({ type, control })),
  );
  return services.slice(0, MAX_SERVICES);
}

/** What a service is asked to do, with its arguments in order. Their values need no escaping: they are addresses and numbers. */
export interface IgdAction {
  readonly name: 'GetExternalIPAddress' | 'AddPortMapping' | 'DeletePortMapping';
  readonly arguments: readonly (readonly [name: string, value: string | number])[];
}

export interface IgdMapping {
  readonly externalPort: number;
  readonly internalPort: number;
  /** The local address that it leads to. */
  readonly client: string;
  /** Seconds; 0 for ever. */
  readonly lease: number;
}

export const getExternalAddress: IgdAction = { name: 'GetExternalIPAddress', arguments: [] };

export function addPortMapping({ externalPort, internalPort, client, lease }: IgdMapping): IgdAction {
  return {
    name: 'AddPortMapping',
    arguments: [
      ['NewRemoteHost', ''],
      ['NewExternalPort', externalPort],
      ['NewProtocol', 'UDP'],
      ['NewInternalPort', internalPort],
      ['NewInternalClient', client],
      ['NewEnabled', 1],
      ['NewPortMappingDescription', 'underpass'],
      ['NewLeaseDuration', lease],
    ],
  };
}

export function deletePortMapping(externalPort: number): IgdAction {
  return {
    name: 'DeletePortMapping',
    arguments: [
      ['NewRemoteHost', ''],
      ['NewExternalPort', externalPort],
      ['NewProtocol', 'UDP'],
    ],
  };
}

/** The action as the body of a POST (UPnP Device Architecture 1.1, section 3.1.1). */
export function encodeAction(service: IgdService, action: IgdAction): string {
  const fields = action.arguments.map(([name, value]) => `<${name}>${value}</${name}>`).join('');
  return (
    '<?xml version="1.0"?>\r\n' +
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action.name} xmlns:u="${service.type}">${fields}</u:${action.name}></s:Body></s:Envelope>\r\n`
  );
}

/**
 * `external`: the IPv4 address that was asked for; undefined where the router has none that the internet can reach, or was asked
 * for something else. `code`: UPnP's error, 0 for an answer that is none.
 */
export type IgdAnswer =
  | { readonly ok: true; readonly external: string | undefined }
  | { readonly ok: false; readonly code: number };

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

export function readAnswer(action: IgdAction, status: number, document: string): IgdAnswer {
  const root = parseXml(document);
  const [response] = root ? findAll(root, `${action.name.toLowerCase()}response`) : [];
  if (status === 200 && response) {
    const external = textOf(response, 'newexternalipaddress') ?? '';
    if (external === '') return { ok: true, external: undefined };
    if (!IPV4.test(external)) return { ok: false, code: 0 };
    return { ok: true, external: scopeOf(external) === 'global' ? external : undefined };
  }
  const code = root ? (textOf(root, 'errorcode') ?? '') : '';
  return { ok: false, code: /^\d{1,5}$/.test(code) ? Number(code) : 0 };
}
