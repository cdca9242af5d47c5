import { expect, test } from 'vitest';
import { listenAddresses } from '../../src/nat/listen-addresses.ts';
import type { LocalAddress } from '../../src/net/interfaces.ts';

const having = (...addresses: string[]) =>
  listenAddresses(
    addresses.map((address): LocalAddress => {
      const family = address.includes(':') ? 6 : 4;
      return { name: 'any0', address, family, prefixLength: 24, deadEnd: false };
    }),
  );

test('each address once, those of containers and of loopback among them, and no link-local one', () => {
  const usable = ['127.0.0.1', '45.80.9.10', '45.80.9.11', '172.17.0.1', '::1', '2600::1', 'fd00::1'];
  expect(having(...usable, '45.80.9.10', '169.254.3.4', 'fe80::1')).toEqual(usable);
});

test('the wildcard where nothing can be listed, and for a family that has one address at most yet', () => {
  expect(having()).toEqual(['0.0.0.0']);
  expect(having('127.0.0.1', '::1', 'fe80::1')).toEqual(['0.0.0.0', '::']);
  expect(having('127.0.0.1', '45.80.9.10', 'fe80::1')).toEqual(['127.0.0.1', '45.80.9.10', '::']);
});

test('the wildcard where there are very many', () => {
  const many = Array.from({ length: 65 }, (_, i) => `45.80.9.${i}`);
  expect(having(...many.slice(1), '::1')).toEqual([...many.slice(1), '::']);
  expect(having(...many)).toEqual(['0.0.0.0']);
});
