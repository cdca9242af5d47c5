import type { Laboratory } from '../laboratory.ts';
import { SERVER_ADDRESSES, type SiteName } from '../topology/addresses.ts';
import { type Check, compare } from './check.ts';
import { externalPorts } from './conntrack.ts';
import { FRESH, Sender } from './sender.ts';

const [ADDRESS] = SERVER_ADDRESSES;
/** Where nobody listens. */
const PORT = 5000;

/**
 * Maps a port, has a stranger send to it, and sends to that stranger: a router whose stack took the stranger's packet gives the
 * flow another port.
 */
export async function checkPoison(lab: Laboratory, name: SiteName): Promise<Check[]> {
  const { expected, publicAddress } = lab.site(name);
  if (expected.poisonable === null || expected.mapping === 'none') return [];
  const host = new Sender(lab, name);
  const stranger = new Sender(lab, 'server');
  const first = await host.send([{ localPort: FRESH, address: ADDRESS, port: PORT }]);
  const [mapped] = await externalPorts(lab, name, first);
  const localPort = first[0]?.localPort ?? FRESH;
  const [unsolicited] = await stranger.send([
    { localPort: FRESH, address: publicAddress, port: mapped ?? PORT },
  ]);
  const towards = { localPort, address: ADDRESS, port: unsolicited?.localPort ?? PORT };
  const [after] = await externalPorts(lab, name, await host.send([towards]));
  host.end();
  stranger.end();
  const same = mapped !== undefined && mapped === after;
  return [compare('poisonable', String(expected.poisonable), same ? 'false' : 'true')];
}
