import { expect, test } from 'vitest';
import { publishSettings, subscribeSettings } from '../../src/tunnel/options.ts';
import { thrownBy } from '../support/errors.ts';

const publish = { name: 'a', secret: 's' };
const subscribe = { target: 'a', secret: 's' };

test('a port as ever, a port with a protocol, or several', () => {
  const ports = (options: object) => publishSettings({ ...publish, ...options }).ports;
  expect(ports({ localPort: 80 })).toEqual([{ port: 80, protocol: 'tcp' }]);
  expect(ports({ localPort: 80, protocol: 'udp' })).toEqual([{ port: 80, protocol: 'udp' }]);
  expect(ports({ ports: [80, '81/udp'] })).toHaveLength(2);
  const plan = (options: object) => subscribeSettings({ ...subscribe, ...options }).plan;
  expect(plan({ localPort: 0 })).toEqual({ at: 'any', protocol: undefined });
  expect(plan({ localPort: 80, protocol: 'udp' })).toEqual({ at: 80, protocol: 'udp' });
  expect(plan({ ports: 'same' })).toEqual({ at: 'same', protocol: undefined });
});

test('the rest has defaults, and times are in milliseconds', () => {
  expect(publishSettings({ ...publish, localPort: 80 })).toMatchObject({
    ...{ localHost: 'localhost', proxyProtocol: false, grace: 60_000, udpIdle: 60_000, buffers: 67_108_864 },
  });
  const told = {
    localPort: 80,
    grace: 0,
    udpIdle: 5,
    buffers: 4,
    proxyProtocol: 'v2',
    deny: [],
    localHost: 'h',
  } as const;
  expect(publishSettings({ ...publish, ...told })).toMatchObject({
    ...{ localHost: 'h', proxyProtocol: true, grace: 0, udpIdle: 5000, buffers: 4_194_304 },
  });
  expect(subscribeSettings({ ...subscribe, localPort: 80, grace: 3600 })).toMatchObject({
    ...{ listenHost: '127.0.0.1', grace: 3_600_000, udpIdle: 60_000 },
  });
});

test.each([
  [{}, 'localPort or ports is needed'],
  [{ localPort: 80, ports: '80' }, 'localPort and ports exclude one another'],
  [{ localPort: 80, grace: -1 }, 'grace is 0 to 3600 seconds'],
  [{ localPort: 80, grace: 3601 }, 'grace is 0 to 3600 seconds'],
  [{ localPort: 80, grace: 0.5 }, 'grace is 0 to 3600 seconds'],
  [{ localPort: 80, udpIdle: 0 }, 'udpIdle is 1 to 86400 seconds'],
  [{ localPort: 80, buffers: 3 }, 'buffers is 4 to 1024 MiB'],
  [{ localPort: 80, buffers: 1025 }, 'buffers is 4 to 1024 MiB'],
])('%j: %s', (options, problem) => {
  for (const settings of [
    () => publishSettings({ ...publish, ...options }),
    () => subscribeSettings({ ...subscribe, ...options }),
  ]) {
    expect(thrownBy(settings)).toMatchObject({ code: 'argument_invalid', message: problem });
  }
});
