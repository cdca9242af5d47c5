import type { Laboratory } from '../laboratory.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { bound } from '../system/listening.ts';
import { SERVER_ADDRESSES } from '../topology/addresses.ts';

const PORTS = [3478, 3479] as const;

/** A STUN server that is not ours, with two addresses and two ports (RFC 5780), in the server's namespace. */
export async function startCoturn(lab: Laboratory): Promise<LabProcess> {
  const folder = lab.folder('coturn');
  const coturn = lab.spawn('server', [
    'turnserver',
    ...['-n', '--stun-only', '--no-tls', '--no-dtls', '--no-tcp', '--no-cli', '--relay-threads', '1'],
    ...SERVER_ADDRESSES.flatMap((address) => ['--listening-ip', address]),
    ...['--listening-port', String(PORTS[0]), '--alt-listening-port', String(PORTS[1])],
    ...['--log-file', 'stdout', '--userdb', `${folder}/users`, '--pidfile', `${folder}/pid`],
  ]);
  await bound(
    coturn.pid,
    SERVER_ADDRESSES.flatMap((address) => PORTS.map((port) => `${address}:${port}`)),
  );
  return coturn;
}
