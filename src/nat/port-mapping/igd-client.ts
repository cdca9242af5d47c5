import { askDevice } from './http-client.ts';
import {
  encodeAction,
  type IgdAction,
  type IgdAnswer,
  type IgdService,
  readAnswer,
  readDescription,
} from './igd.ts';
import { type SsdpSearch, searchGateway } from './ssdp-client.ts';

/** Looks for the router's services until there are some, or until the signal is aborted. Never rejects. */
export function discoverServices(where: SsdpSearch, signal: AbortSignal): Promise<readonly IgdService[]> {
  return new Promise((resolve) => {
    const look = async (location: URL) => {
      const services = await describe(location, where.localAddress, signal);
      if (services.length > 0) finish(services);
    };
    const search = searchGateway(where, (location) => void look(location));
    const abort = () => finish([]);
    const finish = (services: readonly IgdService[]) => {
      signal.removeEventListener('abort', abort);
      search.stop();
      resolve(services);
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
}

/** Asks a service to do something. Rejects when it does not answer, or when the signal is aborted. */
export async function callService(
  service: IgdService,
  action: IgdAction,
  localAddress: string,
  signal: AbortSignal,
): Promise<IgdAnswer> {
  const { status, body } = await askDevice(service.control, {
    method: 'POST',
    headers: {
      'content-type': 'text/xml; charset="utf-8"',
      soapaction: `"${service.type}#${action.name}"`,
    },
    body: encodeAction(service, action),
    localAddress,
    signal,
  });
  return readAnswer(action, status, body);
}

/** What cannot be read offers nothing. */
function describe(location: URL, localAddress: string, signal: AbortSignal): Promise<readonly IgdService[]> {
  return askDevice(location, { method: 'GET', localAddress, signal }).then(
    ({ status, body }) => (status === 200 ? readDescription(body, location) : []),
    () => [],
  );
}
