import { execFile } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { isIPv4 } from 'node:net';
import { promisify } from 'node:util';
import { type Endpoint, familyOf } from './endpoint.ts';

/** For a command, in milliseconds, and for what it or a file says, in bytes. A default route comes first in all of them. */
const TIME_LIMIT = 2000;
const SIZE_LIMIT = 64 * 1024;

/** The address of this machine that packets to a destination leave from, or undefined when there is no way. Sends nothing. */
export async function localAddressTowards(destination: Endpoint): Promise<string | undefined> {
  const socket = dgram.createSocket({ type: `udp${familyOf(destination)}` });
  try {
    // Connecting a UDP socket makes the system choose the route, and no more.
    socket.connect(destination.port, destination.address);
    await once(socket, 'connect');
    return socket.address().address;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** The IPv4 address of the router on the default route; undefined where there is none or the system will not tell. */
export async function defaultGateway(): Promise<string | undefined> {
  try {
    switch (process.platform) {
      case 'linux':
      case 'android':
        return parseProcNetRoute(await readStart('/proc/net/route'));
      case 'win32':
        // By its full path: Windows would look in the current folder first.
        return parseRoutePrint(
          await run(`${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\route.exe`, [
            'print',
            '-4',
            '0.0.0.0',
          ]),
        );
      default:
        return parseRouteGet(await run('/sbin/route', ['-n', 'get', 'default']));
    }
  } catch {
    return undefined;
  }
}

interface DefaultRoute {
  /** Undefined where the route leads straight into an interface, as a VPN's does. */
  readonly gateway: string | undefined;
  readonly metric: number;
}

/** RTF_UP and RTF_REJECT of Linux's route.h. */
const UP = 0x0001;
const REJECT = 0x0200;

/** Reads Linux's `/proc/net/route`: a line a route, tab-separated, addresses as hexadecimal numbers in the machine's byte order. */
export function parseProcNetRoute(text: string): string | undefined {
  const routes: DefaultRoute[] = [];
  for (const line of text.split('\n')) {
    const [, destination, gateway = '', flags = '', , , metric, mask] = line.trim().split(/\s+/);
    if (destination !== '00000000' || mask !== '00000000' || !/^[0-9A-F]{8}$/i.test(gateway)) continue;
    if ((Number.parseInt(flags, 16) & (UP | REJECT)) !== UP) continue;
    const address = new Uint8Array(Uint32Array.of(Number.parseInt(gateway, 16)).buffer).join('.');
    routes.push({ gateway: address === '0.0.0.0' ? undefined : address, metric: Number(metric) });
  }
  return best(routes);
}

/** Reads what `route -n get default` says on macOS and the BSDs: `gateway: 192.168.1.1` on a line of its own. */
export function parseRouteGet(text: string): string | undefined {
  const gateway = /^\s*gateway:\s*(\S+)\s*$/m.exec(text)?.[1] ?? '';
  return isIPv4(gateway) ? gateway : undefined;
}

/**
 * Reads what Windows' `route print` says, in any language: destination, mask, gateway, interface, metric. Persistent routes,
 * further down, have four columns.
 */
export function parseRoutePrint(text: string): string | undefined {
  const routes: DefaultRoute[] = [];
  for (const line of text.split(/\r?\n/)) {
    const columns = line.trim().split(/\s+/);
    if (columns.length < 5 || columns[0] !== '0.0.0.0' || columns[1] !== '0.0.0.0') continue;
    const [gateway = '', metric = ''] = [columns[2], columns.at(-1)];
    if (!/^\d{1,9}$/.test(metric)) continue;
    routes.push({ gateway: isIPv4(gateway) ? gateway : undefined, metric: Number(metric) });
  }
  return best(routes);
}

function best(routes: readonly DefaultRoute[]): string | undefined {
  const [first] = [...routes].sort((one, other) => one.metric - other.metric);
  return first?.gateway;
}

async function readStart(path: string): Promise<string> {
  let text = '';
  for await (const chunk of createReadStream(path, { encoding: 'latin1', end: SIZE_LIMIT - 1 }))
    text += chunk;
  return text;
}

async function run(file: string, commandArguments: readonly string[]): Promise<string> {
  const limits = {
    timeout: TIME_LIMIT,
    maxBuffer: SIZE_LIMIT,
    windowsHide: true,
    encoding: 'latin1',
  } as const;
  const { stdout } = await promisify(execFile)(file, commandArguments, limits);
  return stdout;
}
