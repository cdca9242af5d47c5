import type { Laboratory } from '../laboratory.ts';
import { render, type Table } from '../rules/nftables.ts';
import { type SiteName, type Subnet, v4 } from '../topology/addresses.ts';

/** Where machines begin, by their last number. */
const HOST = 2;
const ROUTER = 2;
const GATEWAY = 1;

/** Gives machines other addresses while everything runs, as a DHCP server or a provider does. IPv4 only. */
export class Addresses {
  readonly #lab: Laboratory;
  readonly #numbers = new Map<string, number>();

  constructor(lab: Laboratory) {
    this.#lab = lab;
  }

  /** The first host of a site moves within its LAN. */
  async changeHost(site: SiteName, number: number): Promise<void> {
    await this.#move(site, 'eth0', this.#lab.site(site).subnets.lan, HOST, number);
  }

  /** The outermost router of a site moves within its public network, and forgets what it knew by its address. */
  async changeRouter(site: SiteName, number: number, tables: readonly Table[]): Promise<void> {
    const { routers, subnets } = this.#lab.site(site);
    const router = routers.at(-1);
    if (router?.nat.design.source === undefined) {
      throw new Error(`nothing translates to the address of the router of ${site}`);
    }
    await this.#move(router.name, 'wan', subnets.wan, ROUTER, number);
    const began = v4(subnets.wan, ROUTER);
    const rules = tables
      .filter((table) => render([table]).includes(`${began} `) || table.name === 'router')
      .map((table) => {
        const text = render([table]).replaceAll(
          new RegExp(`\\b${began.replaceAll('.', '\\.')}\\b`, 'g'),
          v4(subnets.wan, number),
        );
        return `delete table ${table.family} ${table.name}\n${text}`;
      });
    await this.#lab.check(router.name, ['nft', '-f', '-'], rules.join(''));
    await this.#lab.check(router.name, ['conntrack', '-F']);
  }

  async #move(
    machine: Parameters<Laboratory['check']>[0],
    device: string,
    subnet: Subnet,
    began: number,
    number: number,
  ): Promise<void> {
    const now = this.#numbers.get(machine) ?? began;
    if (now === number) return;
    this.#numbers.set(machine, number);
    // The route goes with the address that it leaves from.
    const commands = [
      `addr del ${v4(subnet, now)}/24 dev ${device}`,
      `addr add ${v4(subnet, number)}/24 dev ${device}`,
      `route add default via ${v4(subnet, GATEWAY)}`,
    ];
    await this.#lab.check(machine, ['ip', '-batch', '-'], commands.join('\n'));
  }
}
