import { PortMapper, type PortMappingOptions } from '../../nat/port-mapping/client.ts';
import { ROUTER_PORT } from '../../nat/port-mapping/router-mapping.ts';
import type { PortMapping } from '../../nat/report.ts';
import type { Endpoint } from '../../net/endpoint.ts';
import { defaultGateway, localAddressTowards } from '../../net/route.ts';

export interface RouterOptions extends Omit<PortMappingOptions, 'gateway' | 'localAddress'> {
  /** Whom the forwarded port is to be reached from, as a STUN server sees it; undefined for nobody on other machines. */
  readonly towards: Endpoint | undefined;
}

/**
 * A mapper at the router of the default route, not started; undefined where there is no such router, or it is not on the way:
 * behind a VPN, say, its port is of no use. Never rejects.
 */
export async function findRouter(
  { towards, ...options }: RouterOptions,
  onChange: (mapping: PortMapping | undefined) => void,
): Promise<PortMapper | undefined> {
  const gateway = await defaultGateway();
  if (towards === undefined || gateway === undefined) return undefined;
  const [localAddress, measuredAddress] = await Promise.all(
    [{ address: gateway, port: ROUTER_PORT }, towards].map((to) => localAddressTowards(to)),
  );
  if (localAddress === undefined || localAddress !== measuredAddress) return undefined;
  return new PortMapper({ ...options, gateway, localAddress }, onChange);
}
