import { render, type Table } from '../rules/nftables.ts';

/** What is done inside one namespace, once its interfaces are there. */
export class Setup {
  readonly tables: Table[] = [];
  readonly #ip = ['link set lo up'];
  readonly #settings = new Map<string, number>();
  readonly #ipv6: boolean;

  constructor(ipv6: boolean) {
    this.#ipv6 = ipv6;
  }

  /** Interface up, with addresses; IPv6 ones are left out where the laboratory has no IPv6. */
  interface(name: string, ...addresses: readonly string[]): this {
    for (const address of this.#usable(addresses)) {
      this.#ip.push(`addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
    }
    this.#ip.push(`link set ${name} up`);
    return this;
  }

  /** A bridge over other interfaces. */
  bridge(name: string, ports: readonly string[], ...addresses: readonly string[]): this {
    this.#ip.push(`link add ${name} type bridge`);
    for (const port of ports) this.#ip.push(`link set ${port} master ${name}`, `link set ${port} up`);
    return this.interface(name, ...addresses);
  }

  route(destination: string, ...gateways: readonly string[]): this {
    for (const gateway of this.#usable(gateways)) this.#ip.push(`route add ${destination} via ${gateway}`);
    return this;
  }

  deviceRoute(destination: string, device: string): this {
    this.#ip.push(`route add ${destination} dev ${device}`);
    return this;
  }

  forwarding(): this {
    this.setting('net/ipv4/ip_forward', 1).setting('net/ipv4/conf/all/rp_filter', 0);
    return this.#ipv6 ? this.setting('net/ipv6/conf/all/forwarding', 1) : this;
  }

  /** A kernel setting below /proc/sys; one that this kernel does not have is left. */
  setting(path: string, value: number): this {
    this.#settings.set(path, value);
    return this;
  }

  table(table: Table): this {
    this.tables.push(table);
    return this;
  }

  /** For `sh -eu`, in the namespace. */
  get script(): string {
    // Duplicate address detection would take two seconds, and router solicitations are noise in a capture.
    const v6 = this.#ipv6 ? ['accept_dad', 0] : ['disable_ipv6', 1];
    return [
      `for file in /proc/sys/net/ipv6/conf/*/${v6[0]}; do [ ! -e "$file" ] || echo ${v6[1]} >"$file"; done`,
      heredoc('ip -batch -', this.#ip.join('\n')),
      this.tables.length > 0 ? heredoc('nft -f -', render(this.tables)) : '',
      ...[...this.#settings].map(([path, value]) => write(`/proc/sys/${path}`, value)),
      WAIT_FOR_LINKS,
    ].join('\n');
  }

  #usable(addresses: readonly string[]): string[] {
    return addresses.filter((address) => this.#ipv6 || !address.includes(':'));
  }
}

/**
 * The kernel takes up to a second to act on both ends of a cable being up, and a bridge passes nothing until then. To be asked
 * for an interface's carrier makes newer kernels act at once.
 */
const WAIT_FOR_LINKS = `tries=0
while cat /sys/class/net/*/carrier >/dev/null 2>&1; ip -o link | grep -Eq 'NO-CARRIER|state (LOWERLAYER)?DOWN'; do
  [ "$tries" -lt 250 ] || { ip -o link >&2; exit 1; }
  tries=$((tries + 1))
  sleep 0.02
done
`;

function heredoc(command: string, text: string): string {
  return `${command} <<'END'\n${text}\nEND`;
}

function write(file: string, value: number): string {
  return `[ ! -e ${file} ] || echo ${value} >${file}`;
}
