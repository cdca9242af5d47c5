import { PortMapper, type PortMappingOptions } from '../nat/port-mapping/client.ts';
import { ROUTER_PORT } from '../nat/port-mapping/router-mapping.ts';
import type { PortMapping } from '../nat/report.ts';
import { defaultGateway, localAddressTowards } from '../net/route.ts';

/** A mapper at the router of the default route, not started; undefined where there is no such router. Never rejects. */
export async function findRouter(
  options: Omit<PortMappingOptions, 'gateway' | 'localAddress'>,
  onChange: (mapping: PortMapping | undefined) => void,
): Promise<PortMapper | undefined> {
  const gateway = await defaultGateway();
  const localAddress = gateway && (await localAddressTowards({ address: gateway, port: ROUTER_PORT }));
  if (!gateway || !localAddress) return undefined;
  return new PortMapper({ ...options, gateway, localAddress }, onChange);
}
