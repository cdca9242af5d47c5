import type { Laboratory, MachineName } from '../laboratory.ts';
import { script } from '../system/root.ts';
import { SERVER_ADDRESSES } from '../topology/addresses.ts';

const PORT = 7000;

export interface Burst {
  readonly count?: number;
  /** Bytes in each packet. */
  readonly size?: number;
  readonly ttl?: number;
  /** Of the server. */
  readonly address?: string;
}

/** Sends a burst of UDP packets to an echo on the server; after how many milliseconds each answer came. Lost ones are missing. */
export async function roundTrips(lab: Laboratory, from: MachineName, burst: Burst = {}): Promise<number[]> {
  const { count = 5, size = 32, ttl = 64, address = SERVER_ADDRESSES[0] } = burst;
  const program = script('services/round_trips.py');
  const echo = lab.spawn('server', ['python3', program, 'echo', address, String(PORT)]);
  await echo.line('ready');
  const numbers = [PORT, count, size, ttl].map(String);
  const measured = await lab.check(from, ['python3', program, 'measure', address, ...numbers]);
  echo.endInput();
  await echo.ended;
  return JSON.parse(measured);
}
