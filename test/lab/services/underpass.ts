import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatReport } from '../../../src/nat/report.ts';
import type { Laboratory, MachineName } from '../laboratory.ts';
import { type LabProcess, wholeLines } from '../system/lab-process.ts';
import { ROOT } from '../system/root.ts';
import { SERVER_ADDRESSES, SERVER_ADDRESSES_V6 } from '../topology/addresses.ts';

/** The program, as `npm run build` leaves it. */
export const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js');

/** The port of the service that is published. */
export const SERVICE_PORT = 27015;

const NAME = 'game';
const PORT = 4040;
const METRICS = '127.0.0.1:9100';
const URL = `ws://${SERVER_ADDRESSES[0]}:${PORT}`;
const ACCESS = ['--server', URL, '--insecure', '--json'];
const SECRET = ['--secret', 'not a real secret'];

export interface TunnelOptions {
  /** Instead of what `npm run build` has left. */
  readonly program?: string | undefined;
  /** Further arguments. */
  readonly flags?: readonly string[];
  /** What the tunnel carries; TCP when absent. */
  readonly protocol?: 'tcp' | 'udp' | 'tcp+udp' | undefined;
  /** The subscriber's port; one that the system chooses when absent. */
  readonly port?: number;
  /** Is told each line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Starts the real server on the server's machine, with STUN on so many of its addresses, and waits until it is ready. */
export async function startServer(
  lab: Laboratory,
  stunAddresses: 1 | 2 = 2,
  program = PROGRAM,
): Promise<LabProcess> {
  const v6 = lab.options.ipv6 ? SERVER_ADDRESSES_V6 : [];
  const addresses = [...SERVER_ADDRESSES.slice(0, stunAddresses), ...v6.slice(0, stunAddresses)];
  const config = join(lab.folder('server'), 'server.yaml');
  const stun = { addresses, ports: [3478, 3479] };
  const listen = `ws://0.0.0.0:${PORT}`;
  // Each run is to find its path by itself.
  const p2p = { remember_outcomes: false };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ listen, p2p, stun, metrics: { listen: METRICS } }));
  const env = environment(lab, 'server');
  const server = lab.spawn('server', [process.execPath, program, 'server', '--config', config, '--json'], {
    env,
  });
  await server.output((stdout) => stdout.includes('"ready"') || undefined);
  return server;
}

/** What the server counts, from its own machine. */
export function serverMetrics(lab: Laboratory): Promise<string> {
  const fetching = `process.stdout.write(await (await fetch('http://${METRICS}/metrics')).text())`;
  return lab.check('server', [process.execPath, '--input-type=module', '-e', fetching]);
}

/** Publishes a name from a machine, telling events line by line, and waits until it is published. */
export async function startPublisher(
  lab: Laboratory,
  machine: MachineName,
  options: TunnelOptions = {},
): Promise<LabProcess> {
  const publisher = startTunnel(lab, machine, [portOf(SERVICE_PORT, options), '--name', NAME], options);
  await publisher.output((stdout) => stdout.includes('"ready"') || undefined);
  return publisher;
}

/** Brings what is published to a port of a machine, telling events. Waits for nothing. */
export function startSubscriber(
  lab: Laboratory,
  machine: MachineName,
  options: TunnelOptions = {},
): LabProcess {
  return startTunnel(lab, machine, [portOf(options.port ?? 0, options), '--target', NAME], options);
}

function startTunnel(
  lab: Laboratory,
  machine: MachineName,
  args: readonly string[],
  { program = PROGRAM, flags = [], onLine }: TunnelOptions,
): LabProcess {
  const argv = [process.execPath, program, 'p2p', ...args, ...SECRET, ...ACCESS, ...flags];
  return lab.spawn(machine, argv, { env: environment(lab, machine), ...(onLine && { onLine }) });
}

function portOf(port: number, { protocol }: TunnelOptions): string {
  return protocol === undefined ? String(port) : `${port}/${protocol}`;
}

/** What `--json` makes of an event. */
export interface ToldEvent {
  readonly event: string;
  /** ISO 8601. */
  readonly time: string;
  readonly [field: string]: unknown;
}

/** Every event of one name that a program has told so far. */
export function told(program: LabProcess, name: string): ToldEvent[] {
  const events: ToldEvent[] = wholeLines(program.stdout).map((line) => JSON.parse(line));
  return events.filter(({ event }) => event === name);
}

/** What `underpass nat` reports on a machine. Throws what it said when it reported nothing. */
export async function discoverNat(
  lab: Laboratory,
  machine: MachineName,
  program = PROGRAM,
): Promise<NatReport> {
  const argv = [process.execPath, program, 'nat', ...ACCESS];
  const { code, stdout, stderr } = await lab.run(machine, argv, { env: environment(lab, machine) });
  if (code !== 0) throw new Error(`'underpass nat' failed with ${code}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

/** Each machine has its own files. */
function environment(lab: Laboratory, machine: MachineName): Record<string, string> {
  const home = lab.folder(`home-${machine}`);
  return { HOME: home, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, XDG_DATA_HOME: home };
}
