import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Laboratory } from '../laboratory.ts';
import { IGD_TABLE } from '../rules/igd.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { bound } from '../system/listening.ts';
import { type SiteName, v4 } from '../topology/addresses.ts';

const NAT_PMP_PORT = 5351;

/** A router's miniupnpd: UPnP-IGD, NAT-PMP and PCP. */
export class Igd {
  readonly #lab: Laboratory;
  readonly #site: SiteName;
  #daemon: LabProcess | undefined;

  constructor(lab: Laboratory, site: SiteName) {
    this.#lab = lab;
    this.#site = site;
  }

  async start(): Promise<void> {
    if (this.#daemon) throw new Error(`the router of ${this.#site} speaks already`);
    const folder = this.#lab.folder(`igd-${this.#site}`);
    const { subnets } = this.#lab.site(this.#site);
    const config = join(folder, 'config');
    writeFileSync(join(folder, 'leases'), '');
    writeFileSync(config, this.#config(folder));
    const argv = ['miniupnpd', '-d', '-f', config, '-P', join(folder, 'pid')];
    this.#daemon = this.#lab.spawn(`router-${this.#site}`, argv);
    await bound(this.#daemon.pid, [`${v4(subnets.lan, 1)}:${NAT_PMP_PORT}`]);
  }

  /** As when the router's owner switches it off: it says goodbye. */
  async stop(): Promise<void> {
    this.#daemon?.kill();
    await this.#daemon?.ended;
    this.#daemon = undefined;
  }

  /** The mappings that it holds, as rules of nftables. */
  async mappings(): Promise<string[]> {
    const argv = ['nft', 'list', 'chain', IGD_TABLE.family, IGD_TABLE.name, 'prerouting_miniupnpd'];
    const rules = await this.#lab.check(`router-${this.#site}`, argv);
    return rules.split('\n').filter((line) => line.includes('dnat'));
  }

  #config(folder: string): string {
    const { carrier, subnets } = this.#lab.site(this.#site);
    // Behind a carrier it finds the address by itself, and that nobody outside can reach it.
    const external = carrier ? [] : [`ext_ip=${v4(subnets.wan, 2)}`];
    return [
      'ext_ifname=wan',
      ...external,
      `listening_ip=lan`,
      'http_port=5000',
      'enable_natpmp=yes',
      'enable_upnp=yes',
      'secure_mode=yes',
      `upnp_table_name=${IGD_TABLE.name}`,
      `upnp_nat_table_name=${IGD_TABLE.name}`,
      'upnp_forward_chain=miniupnpd',
      'upnp_nat_chain=prerouting_miniupnpd',
      'upnp_nat_postrouting_chain=postrouting_miniupnpd',
      `lease_file=${join(folder, 'leases')}`,
      `uuid=${randomUUID()}`,
      'allow 1024-65535 0.0.0.0/0 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
      '',
    ].join('\n');
  }
}
