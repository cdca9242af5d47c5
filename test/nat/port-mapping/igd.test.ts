import { describe, expect, it } from 'vitest';
import {
  addPortMapping,
  deletePortMapping,
  encodeAction,
  getExternalAddress,
  type IgdService,
  readAnswer,
  readDescription,
} from '../../../src/nat/port-mapping/igd.ts';
import { findAll, parseXml } from '../../../src/nat/port-mapping/xml.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';
import { description, soapFault, soapResponse } from './igd-documents.ts';

const IP1 = 'urn:schemas-upnp-org:service:WANIPConnection:1';
const IP2 = 'urn:schemas-upnp-org:service:WANIPConnection:2';
const PPP = 'urn:schemas-upnp-org:service:WANPPPConnection:1';
const LOCATION = new URL('http://192.168.1.1:5000/rootDesc.xml');
const controls = (services: readonly IgdService[]) => services.map(({ control }) => control.href);

describe('a device description', () => {
  it('offers its connections, the best kind first', () => {
    const services = readDescription(
      description([
        { type: PPP, control: '/ctl/PPP' },
        { type: IP1, control: 'http://192.168.1.1:80/ctl/IP1' },
        { type: IP2, control: 'ctl/IP2' },
      ]),
      LOCATION,
    );
    expect(services.map(({ type }) => type)).toEqual([IP2, IP1, PPP]);
    expect(controls(services)).toEqual([
      'http://192.168.1.1:5000/ctl/IP2',
      'http://192.168.1.1/ctl/IP1',
      'http://192.168.1.1:5000/ctl/PPP',
    ]);
  });

  it('may say what its addresses are relative to, if that is itself', () => {
    const one = [{ type: IP1, control: 'ctl' }];
    const base = (text: string) => controls(readDescription(description(one, text), LOCATION));
    expect(base('http://192.168.1.1:49152/')).toEqual(['http://192.168.1.1:49152/ctl']);
    expect(base('http://10.0.0.1/')).toEqual(['http://192.168.1.1:5000/ctl']);
  });

  it('leads nowhere else', () => {
    for (const control of [
      'http://10.0.0.1/ctl',
      '//10.0.0.1/ctl',
      'https://192.168.1.1/ctl',
      'javascript:0',
    ])
      expect(readDescription(description([{ type: IP1, control }]), LOCATION)).toEqual([]);
  });

  it('offers nothing that we do not know, and no more than four', () => {
    expect(readDescription(description([{ type: `${IP1}0`, control: '/' }]), LOCATION)).toEqual([]);
    expect(readDescription('<html><body>Log in', LOCATION)).toEqual([]);
    expect(readDescription('', LOCATION)).toEqual([]);
    const many = Array.from({ length: 50 }, (_, i) => ({ type: IP1, control: `/${i}` }));
    expect(readDescription(description(many), LOCATION)).toHaveLength(4);
  });

  it('never throws, and never leaves the gateway', () => {
    const bytes = Buffer.from(description([{ type: IP1, control: 'http://192.168.1.1/ctl' }]));
    forSeeds(1000, (random) => {
      const services = readDescription(mutate(bytes, random).toString(), LOCATION);
      ensure(
        services.every(({ control }) => control.hostname === '192.168.1.1'),
        'on the gateway',
      );
    });
  });
});

describe('an action', () => {
  const service: IgdService = { type: IP1, control: LOCATION };

  it('has its arguments in the order of the specification', () => {
    const mapping = { externalPort: 41234, internalPort: 41235, client: '192.168.1.20', lease: 7200 };
    const body = encodeAction(service, addPortMapping(mapping));
    const root = parseXml(body);
    const [action] = root ? findAll(root, 'addportmapping') : [];
    expect(action?.children.map(({ name, text }) => [name, text])).toEqual([
      ['newremotehost', ''],
      ['newexternalport', '41234'],
      ['newprotocol', 'UDP'],
      ['newinternalport', '41235'],
      ['newinternalclient', '192.168.1.20'],
      ['newenabled', '1'],
      ['newportmappingdescription', 'underpass'],
      ['newleaseduration', '7200'],
    ]);
    expect(body).toContain(`<u:AddPortMapping xmlns:u="${IP1}">`);
    expect(encodeAction(service, deletePortMapping(41234))).toContain(
      '<NewRemoteHost></NewRemoteHost><NewExternalPort>41234</NewExternalPort><NewProtocol>UDP</NewProtocol>',
    );
  });

  it('is answered', () => {
    const field = (address: string) => `<NewExternalIPAddress>${address}</NewExternalIPAddress>`;
    const read = (address: string) =>
      readAnswer(getExternalAddress, 200, soapResponse(IP1, 'GetExternalIPAddress', field(address)));
    expect(read('45.80.1.7')).toEqual({ ok: true, external: '45.80.1.7' });
    for (const none of ['', '0.0.0.0', '192.168.0.2', '10.1.2.3', '100.64.0.9', '169.254.1.1', '127.0.0.1'])
      expect(read(none), none).toEqual({ ok: true, external: undefined });
    for (const broken of ['256.1.1.1', '01.2.3.4', '1.2.3', '2001:db8::1', 'evil.example'])
      expect(read(broken), broken).toEqual({ ok: false, code: 0 });
    expect(readAnswer(deletePortMapping(1), 200, soapResponse(IP1, 'DeletePortMapping')).ok).toBe(true);
  });

  it('is refused with a code, and anything else is code 0', () => {
    const read = (status: number, body: string) => readAnswer(deletePortMapping(1), status, body);
    expect(read(500, soapFault(718))).toEqual({ ok: false, code: 718 });
    expect(read(500, soapFault('-1'))).toEqual({ ok: false, code: 0 });
    expect(read(200, soapResponse(IP1, 'AddPortMapping'))).toEqual({ ok: false, code: 0 });
    expect(read(302, soapResponse(IP1, 'DeletePortMapping'))).toEqual({ ok: false, code: 0 });
    expect(read(404, 'Not Found')).toEqual({ ok: false, code: 0 });
  });
});
