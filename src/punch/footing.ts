import { familyOf } from '../net/endpoint.ts';
import { MAIN_SOCKET, type PunchOptions } from './agent-types.ts';
import type { ExtraSockets } from './extra-sockets.ts';
import type { Ground } from './round.ts';

/** What rounds need of this side's sockets and network, which stay the same from one to the next. */
export function footingOf(
  { families, measured }: PunchOptions,
  extra: ExtraSockets,
): Pick<Ground, 'bench' | 'numberOf' | 'mainSocket' | 'filters'> {
  const { filtering } = measured.verdict;
  const isOpen = filtering === 'none' || filtering === 'endpoint-independent';
  return {
    bench: extra.bench,
    numberOf: (socket) => extra.numberOf(socket),
    mainSocket(remote) {
      const family = familyOf(remote);
      return families.includes(family) ? MAIN_SOCKET[family] : undefined;
    },
    // The verdict is about IPv4. Every IPv6 network is taken to have a stateful firewall.
    filters: (from) => familyOf(from) === 6 || !isOpen,
  };
}
