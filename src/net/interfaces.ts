import os from 'node:os';
import { scopeOf } from './ip.ts';

/** An address of this machine. */
export interface LocalAddress {
  /** The interface's name, as `eth0` or `Wi-Fi`. */
  readonly name: string;
  readonly address: string;
  readonly family: 4 | 6;
  /** How many bits of the address are the network's. */
  readonly prefixLength: number;
  /** Whether no other machine is likely to reach us there; see `isDeadEnd`. */
  readonly deadEnd: boolean;
}

/** Every address of this machine's interfaces that are up, in the system's order; none where it will not tell. */
export function localInterfaces(): readonly LocalAddress[] {
  try {
    return toLocalAddresses(os.networkInterfaces());
  } catch {
    // Newer Androids forbid it.
    return [];
  }
}

/** What `os.networkInterfaces` says, in our words. */
export function toLocalAddresses(
  interfaces: NodeJS.Dict<os.NetworkInterfaceInfo[]>,
): readonly LocalAddress[] {
  return Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos.map(({ address, family, cidr }) => ({
      name,
      address,
      family: family === 'IPv6' ? 6 : 4,
      prefixLength: Number(cidr?.split('/')[1] ?? (family === 'IPv6' ? 128 : 32)),
      deadEnd: isDeadEnd(name, address),
    })),
  );
}

/** Containers, virtual machines, VPNs and tunnels, by how their interfaces are named on Linux, macOS and the BSDs. */
const UNIX_DEAD_ENDS = new RegExp(
  `^(${[
    'lo\\d*$|dummy|ifb|awdl|llw|anpi',
    // OpenWrt's br-lan is a real network; docker's bridges are br- and a number or a chosen name.
    'docker|br-(?!lan)|podman|veth|cni|cali|flannel|cilium|kube-|nodelocaldns|lxc|lxdbr|incusbr|vxlan',
    'virbr|vnet|vmnet|vboxnet|bridge1\\d\\d',
    'tun|tap|utun|wg|zt|tailscale|ts\\d|nebula|ham\\d|ipsec|gif|stf|gre|sit|ip6tnl|nordlynx|proton|CloudflareWARP',
  ].join('|')})`,
);

/**
 * The same on Windows, where names are for people. Of Hyper-V's only those that stay inside the machine: a switch that was
 * connected to a network card takes over its address, and is then the real network.
 */
const WINDOWS_DEAD_ENDS = new RegExp(
  [
    'Loopback|VirtualBox|VMware|vEthernet \\((Default Switch|WSL|nat\\)|DockerNAT|HNS|.*Internal)',
    'Tailscale|ZeroTier|WireGuard|OpenVPN|TAP-Windows|Wintun|Hamachi|Radmin|VPN|NordLynx|Teredo|isatap',
  ].join('|'),
  'i',
);

/**
 * Whether to leave an address out of what peers are told: it is valid on this machine only, or leads into a container, a
 * virtual machine or a VPN, where other tools were seen to connect to the wrong host. Judged by names, so a guess.
 */
export function isDeadEnd(name: string, address: string): boolean {
  const scope = scopeOf(address);
  if (scope === 'loopback' || scope === 'link-local' || scope === 'unspecified') return true;
  // What a machine on an IPv6-only network pretends to have (464XLAT, RFC 7335).
  if (address.startsWith('192.0.0.')) return true;
  return UNIX_DEAD_ENDS.test(name) || WINDOWS_DEAD_ENDS.test(name);
}
