import { BlockList, isIP, isIPv6 } from 'node:net';
import { UnderpassError } from '../errors.ts';
import { unmapped } from './address.ts';

/** Reads addresses and networks (`10.0.0.0/8`) of reverse proxies. Throws `address_invalid`. */
export function parseTrustedProxies(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', digits] = network.split('/');
    const longest = isIPv6(address) ? 128 : 32;
    const prefix = digits === undefined ? longest : Number(digits);
    if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > longest) {
      throw new UnderpassError('address_invalid', { address: network });
    }
    list.addSubnet(address, prefix, family(address));
  }
  return list;
}

/**
 * Who is really connecting: the address on the socket, or, where that is one of our proxies, the last address of
 * `X-Forwarded-For` that is not. Whatever stands further left was written by the client and proves nothing.
 */
export function clientAddress(socketAddress: string, forwardedFor: string, proxies: BlockList): string {
  const [withoutZone = ''] = socketAddress.split('%');
  let address = unmapped(withoutZone);
  const hops = forwardedFor.split(',');
  while (isIP(address) !== 0 && proxies.check(address, family(address))) {
    const hop = unmapped(hops.pop()?.trim() ?? '');
    if (isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
