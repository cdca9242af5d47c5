import { describe, expect, it } from 'vitest';
import { isDeadEnd, localInterfaces, toLocalAddresses } from '../../src/net/interfaces.ts';

const LAN = '192.168.1.20';

describe('isDeadEnd', () => {
  it.each([
    'lo docker0 br-1a2b3c4d5e6f br-games veth12ab virbr0 vmnet8 vboxnet0 bridge100 tun0 tap1 utun4 wg0 wg-home zt3jnkd tailscale0 nordlynx cni0 flannel.1 cali12 lxcbr0 podman1 vxlan.calico',
    'VirtualBox Host-Only Network|VMware Network Adapter VMnet8|vEthernet (Default Switch)|vEthernet (WSL)|vEthernet (WSL (Hyper-V firewall))|vEthernet (nat)',
    'Tailscale|ZeroTier One [8056c2e21c000001]|OpenVPN TAP-Windows6|Loopback Pseudo-Interface 1|Radmin VPN|Hamachi',
  ])('knows %s', (names) => {
    for (const name of names.split(names.includes('|') ? '|' : ' '))
      expect(isDeadEnd(name, LAN), name).toBe(true);
  });

  it.each([
    'eth0 enp3s0 eno1 wlan0 wlp2s0 en0 bridge0 br0 br-lan bond0 ppp0 usb0 wwan0 eth0.100',
    'Ethernet|Wi-Fi|Local Area Connection* 2|Ethernet 3|vEthernet (External Switch)|vEthernet (Wi-Fi)',
  ])('lets %s be', (names) => {
    for (const name of names.split(names.includes('|') ? '|' : ' '))
      expect(isDeadEnd(name, LAN), name).toBe(false);
  });

  it.each([
    ['127.0.0.1', true],
    ['::1', true],
    ['169.254.7.7', true],
    ['fe80::1', true],
    ['fe80::1%eth0', true],
    ['192.0.0.2', true],
    ['192.168.1.20', false],
    ['100.64.0.7', false],
    ['45.80.5.2', false],
    ['fd00::2', false],
    ['2a0e:a2::2', false],
  ])('judges %s by itself', (address, dead) => expect(isDeadEnd('eth0', address)).toBe(dead));
});

describe('local addresses', () => {
  it('are those of the system, in our words', () => {
    const common = { mac: '02:42:ac:11:00:02', internal: false };
    const addresses = toLocalAddresses({
      eth0: [
        { ...common, address: LAN, netmask: '255.255.255.0', family: 'IPv4', cidr: `${LAN}/24` },
        { ...common, address: '2a0e::2', netmask: 'ffff::', family: 'IPv6', cidr: '2a0e::2/64', scopeid: 0 },
      ],
      tun0: [{ ...common, address: '10.8.0.2', netmask: 'odd', family: 'IPv4', cidr: null }],
      eth1: undefined,
    });
    expect(addresses).toEqual([
      { name: 'eth0', address: LAN, family: 4, prefixLength: 24, deadEnd: false },
      { name: 'eth0', address: '2a0e::2', family: 6, prefixLength: 64, deadEnd: false },
      { name: 'tun0', address: '10.8.0.2', family: 4, prefixLength: 32, deadEnd: true },
    ]);
  });

  it('include the loopback of this machine, a dead end', () => {
    const loopback = localInterfaces().find(({ address }) => address === '127.0.0.1');
    expect(loopback).toMatchObject({ family: 4, prefixLength: 8, deadEnd: true });
  });
});
