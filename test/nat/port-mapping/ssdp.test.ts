import { describe, expect, it } from 'vitest';
import {
  decodeSearchAnswer,
  encodeSearch,
  SEARCH_TARGETS,
  urlOnGateway,
} from '../../../src/nat/port-mapping/ssdp.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';

const GATEWAY = '192.168.1.1';
const answer = (location: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: ${SEARCH_TARGETS[0]}\r\nLocation: ${location}\r\nEXT:\r\n\r\n`,
  );

describe('SSDP', () => {
  it('searches in the words of UPnP Device Architecture 1.1, section 1.3.2', () => {
    expect(encodeSearch('239.255.255.250', 'upnp:rootdevice').toString()).toBe(
      'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n',
    );
  });

  it('finds the description on the gateway', () => {
    const location = decodeSearchAnswer(answer('http://192.168.1.1:5000/rootDesc.xml'), GATEWAY);
    expect(location?.href).toBe('http://192.168.1.1:5000/rootDesc.xml');
  });

  it.each([
    'http://192.168.1.2:5000/rootDesc.xml',
    'http://127.0.0.1/admin',
    'http://router.example/rootDesc.xml',
    'http://192.168.1.1.example/x',
    'http://192.168.1.1@192.168.1.2/x',
    'http://user:word@192.168.1.1/x',
    'http://192.168.1.1:0/x',
    'https://192.168.1.1/x',
    'file:///etc/passwd',
    'http://192.168.1.1:99999/x',
    '//192.168.1.1/x',
    '',
  ])('goes nowhere else: %s', (location) => {
    expect(decodeSearchAnswer(answer(location), GATEWAY)).toBeUndefined();
  });

  it.each([
    ['a notification', 'NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.1.1/x\r\n\r\n'],
    ['an error', 'HTTP/1.1 404 Not Found\r\nLOCATION: http://192.168.1.1/x\r\n\r\n'],
    ['an answer without a place', 'HTTP/1.1 200 OK\r\nST: x\r\n\r\n'],
    ['a long one', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(5000)}\r\nLOCATION: http://192.168.1.1/x\r\n\r\n`],
    ['nothing', ''],
  ])('does not take %s for an answer', (_, text) => {
    expect(decodeSearchAnswer(Buffer.from(text), GATEWAY)).toBeUndefined();
  });

  it('follows a relative address no further than the gateway', () => {
    const base = new URL('http://192.168.1.1:5000/igd/desc.xml');
    expect(urlOnGateway('ctl/IPConn', GATEWAY, base)?.href).toBe('http://192.168.1.1:5000/igd/ctl/IPConn');
    expect(urlOnGateway('/ctl', GATEWAY, base)?.href).toBe('http://192.168.1.1:5000/ctl');
    expect(urlOnGateway('//10.0.0.1/ctl', GATEWAY, base)).toBeUndefined();
    expect(urlOnGateway('http://10.0.0.1/ctl', GATEWAY, base)).toBeUndefined();
  });

  it('never throws, and never leaves the gateway', () => {
    forSeeds(3000, (random) => {
      const location = decodeSearchAnswer(mutate(answer('http://192.168.1.1:5000/x'), random), GATEWAY);
      ensure(location === undefined || location.hostname === GATEWAY, 'on the gateway');
    });
  });
});
