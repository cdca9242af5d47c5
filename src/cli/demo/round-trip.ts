import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';

/** Enough that the first ones, which wake everything up, do not count. */
const ROUND_TRIPS = 31;

/** What a request and its answer take at the median, over one connection and in milliseconds. */
export async function measureRoundTrip(address: string, signal: AbortSignal): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  try {
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const began = performance.now();
      const [response]: IncomingMessage[] = await once(
        get(`http://${address}/`, { agent, signal }),
        'response',
      );
      times.push(performance.now() - began);
      response?.resume();
      if (response) await once(response, 'end');
    }
  } finally {
    agent.destroy();
  }
  return times.sort((one, other) => one - other)[ROUND_TRIPS >> 1] ?? Number.NaN;
}
