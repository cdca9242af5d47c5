import type { Table } from './nftables.ts';

/** The chains that miniupnpd fills. It does not make them itself, and they must be there before it starts. */
export const IGD_TABLE: Table = {
  family: 'inet',
  name: 'igd',
  chains: [
    { name: 'miniupnpd', rules: [] },
    { name: 'prerouting_miniupnpd', rules: [] },
    { name: 'postrouting_miniupnpd', rules: [] },
    {
      name: 'forwarding',
      hook: { type: 'filter', at: 'forward', priority: -10 },
      rules: ['jump miniupnpd'],
    },
    {
      name: 'inbound',
      hook: { type: 'nat', at: 'prerouting', priority: -110 },
      rules: ['jump prerouting_miniupnpd'],
    },
    {
      name: 'translation',
      hook: { type: 'nat', at: 'postrouting', priority: 90 },
      rules: ['jump postrouting_miniupnpd'],
    },
  ],
};
