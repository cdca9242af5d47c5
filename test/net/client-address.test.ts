import { describe, expect, it } from 'vitest';
import { clientAddress, parseTrustedProxies } from '../../src/net/client-address.ts';

describe('clientAddress', () => {
  const proxies = parseTrustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

  it.each([
    ['a stranger is who it is, whatever it claims', '198.51.100.1', '1.1.1.1', '198.51.100.1'],
    ['a proxy speaks for its client', '192.0.2.1', '198.51.100.1', '198.51.100.1'],
    ['what the client itself wrote does not count', '192.0.2.1', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['proxies behind proxies', '10.0.0.1', '6.6.6.6, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['mapped addresses are IPv4', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['IPv6 proxies', 'fd00::1', '2001:db8::1', '2001:db8::1'],
    ['no header', '10.0.0.1', '', '10.0.0.1'],
    ['garbage in the header', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['only proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['a zone', 'fe80::1%eth0', '', 'fe80::1'],
    ['a socket that is gone already', '', '1.1.1.1', ''],
  ])('%s', (_, socket, header, expected) => {
    expect(clientAddress(socket, header, proxies)).toBe(expected);
  });
});

it.each(['', 'proxy', '10.0.0.0/33', '10.0.0.0/x', '::/129'])('refuses the network %j', (network) => {
  expect(() => parseTrustedProxies([network])).toThrow(expect.objectContaining({ code: 'address_invalid' }));
});
