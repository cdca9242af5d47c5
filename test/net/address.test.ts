import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import {
  formatAddress,
  isLoopback,
  parseListenAddress,
  parseServerAddress,
  parseStunServer,
  parseStunServers,
} from '../../src/net/address.ts';
import { thrownBy } from '../support/errors.ts';

describe('parseServerAddress', () => {
  it.each([
    ['example.org', 'wss://example.org:4040', 'example.org', 4040, true],
    ['example.org:443', 'wss://example.org:443', 'example.org', 443, true],
    [' EXAMPLE.org:1 ', 'wss://example.org:1', 'example.org', 1, true],
    ['192.0.2.7:80', 'wss://192.0.2.7:80', '192.0.2.7', 80, true],
    ['[2001:DB8::1]', 'wss://[2001:db8::1]:4040', '2001:db8::1', 4040, true],
    ['[::1]:5000', 'wss://[::1]:5000', '::1', 5000, true],
    ['wss://example.org', 'wss://example.org:443', 'example.org', 443, true],
    ['wss://example.org:4040/', 'wss://example.org:4040', 'example.org', 4040, true],
    ['wss://example.org/under/pass/', 'wss://example.org:443/under/pass', 'example.org', 443, true],
    ['ws://localhost', 'ws://localhost:80', 'localhost', 80, false],
    ['WS://127.0.0.1:4040', 'ws://127.0.0.1:4040', '127.0.0.1', 4040, false],
    ['bücher.example', 'wss://xn--bcher-kva.example:4040', 'xn--bcher-kva.example', 4040, true],
  ])('reads %s', (text, url, host, port, secure) => {
    expect(parseServerAddress(text)).toEqual({ url, host, port, secure });
  });

  it.each([
    '',
    ':4040',
    'host:',
    'host:0',
    'host:65536',
    'host:1:2',
    '::1',
    '[::1',
    '[zz]:1',
    '[1.2.3.4]',
    'a b',
    'http://host',
    'wss://',
    'wss://user@host',
    'wss://host/?x',
    'wss://host/#x',
    'host/path',
  ])('refuses %j', (text) => {
    expect(() => parseServerAddress(text)).toThrow(
      expect.objectContaining({ code: 'address_invalid', details: { address: text } }),
    );
  });

  it('answers any text with an address that a URL can hold, or a typed error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.webUrl(), fc.ipV6(), fc.domain()), (text) => {
        try {
          const { url, host, port, secure } = parseServerAddress(text);
          expect(parseServerAddress(url)).toEqual({ url, host, port, secure });
        } catch (error) {
          expect(error).toBeInstanceOf(UnderpassError);
        }
      }),
    );
  });
});

describe('parseListenAddress', () => {
  it.each([
    ['0.0.0.0:4040', '0.0.0.0', 4040, true],
    ['[::]:4040', '::', 4040, true],
    ['ws://127.0.0.1:4040', '127.0.0.1', 4040, false],
    ['wss://localhost:0', 'localhost', 0, true],
    ['localhost', 'localhost', 4040, true],
  ])('reads %s', (text, host, port, secure) => {
    expect(parseListenAddress(text)).toEqual({ host, port, secure });
  });

  it.each(['', '0.0.0.0:70000', 'ws://host/path', '::', 'tcp://x'])('refuses %j', (text) => {
    expect(() => parseListenAddress(text)).toThrow(expect.objectContaining({ code: 'address_invalid' }));
  });
});

describe('parseStunServer', () => {
  it.each([
    ['stun.example.org', 'stun.example.org', 3478],
    [' STUN.example.org:19302 ', 'stun.example.org', 19302],
    ['192.0.2.7', '192.0.2.7', 3478],
    ['[2001:DB8::1]', '2001:db8::1', 3478],
    ['[::1]:65535', '::1', 65535],
  ])('reads %s', (text, host, port) => {
    expect(parseStunServer(text)).toEqual({ host, port });
  });

  it.each([
    '',
    ':3478',
    'host:',
    'host:0',
    'host:65536',
    'stun:host',
    'stun://host',
    '::1',
    '[zz]',
    'a b',
    'a/b',
  ])('refuses %j', (text) => {
    expect(() => parseStunServer(text)).toThrow(
      expect.objectContaining({ code: 'address_invalid', details: { address: text } }),
    );
  });
});

it('puts brackets around IPv6 only', () => {
  expect(formatAddress('::1', 80)).toBe('[::1]:80');
  expect(formatAddress('127.0.0.1', 80)).toBe('127.0.0.1:80');
});

it.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['127.evil.example', false],
  ['128.0.0.1', false],
  ['::2', false],
  ['0.0.0.0', false],
  ['localhost.example', false],
])('isLoopback(%s) is %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

it('reads eight STUN servers, and not nine', () => {
  const texts = Array.from({ length: 8 }, (_, i) => `stun${i}.example`);
  expect(parseStunServers(texts).map(({ host }) => host)).toEqual(texts);
  expect(thrownBy(() => parseStunServers([...texts, 'one.more'])).code).toBe('argument_invalid');
});
