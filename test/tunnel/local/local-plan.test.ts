import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { PROTOCOLS, type Protocol } from '../../../src/signaling/offered-ports.ts';
import { earlyPorts, parsePlan, planPorts } from '../../../src/tunnel/local/local-plan.ts';
import { carries, parsePorts } from '../../../src/tunnel/local/ports.ts';
import { thrownBy } from '../../support/errors.ts';

const plan = (spec: number | string, offered: string) =>
  planPorts(parsePlan(spec), parsePorts(offered), 'my-game').map(
    ({ number, transport, remote, local }) => `${number} ${remote}/${transport} ${local}`,
  );

test.each([
  [8000, '27015', ['0 27015/tcp 8000']],
  ['8000', '27015/udp', ['0 27015/udp 8000']],
  ['8000', '27015/tcp+udp', ['0 27015/tcp 8000', '0 27015/udp 8000']],
  ['8000/udp', '27015/tcp+udp', ['0 27015/udp 8000']],
  ['8000', '27015, 27017/udp', ['0 27015/tcp 8000', '1 27017/udp 8002']],
  ['8000', '25565, 24454/udp', ['0 25565/tcp 8000', '1 24454/udp 6889']],
  ['8000/udp', '25565, 24454/udp, 24460/udp', ['1 24454/udp 8000', '2 24460/udp 8006']],
  ['same', '25565, 24454/udp', ['0 25565/tcp 25565', '1 24454/udp 24454']],
  ['same/udp', '25565, 24454/udp', ['1 24454/udp 24454']],
  [0, '25565/tcp+udp, 24454/udp', ['0 25565/tcp 0', '0 25565/udp 0', '1 24454/udp 0']],
  ['0/tcp', '25565/tcp+udp, 24454/udp', ['0 25565/tcp 0']],
] as const)('%j of %s', (spec, offered, planned) => {
  expect(plan(spec, offered)).toEqual(planned);
});

test.each([
  ['8000/udp', '27015', 'it offers nothing over UDP'],
  ['8000/tcp', '27015/udp', 'it offers nothing over TCP'],
  [65535, '27015-27016', 'with 27015 at 65535, 27016 would be at 65536'],
  [1000, '25565,24454/udp', 'with 25565 at 1000, 24454 would be at -111'],
] as const)('%j of %s does not fit', (spec, offered, problem) => {
  const error = thrownBy(() => plan(spec, offered));
  expect([error.code, error.message]).toEqual([
    'ports_mismatch',
    `the ports that 'my-game' offers do not fit here: ${problem}`,
  ]);
});

test.each([
  ['', "'' is not a valid port"],
  ['65536', "'65536' is not a valid port"],
  ['8e1', "'8e1' is not a valid port"],
  ['Same', "'Same' is not a valid port"],
  ['/udp', "'' is not a valid port"],
  ['8000/sctp', "'sctp' is not tcp, udp or tcp+udp"],
  ['8000-8005', 'to reach a tunnel takes one port, same, or 0'],
  ['8000,8001', 'to reach a tunnel takes one port, same, or 0'],
])('%j is no plan: %s', (spec, problem) => {
  expect(thrownBy(() => parsePlan(spec)).message).toContain(problem);
});

test('what is opened before anything is offered', () => {
  const early = (spec: string) =>
    earlyPorts(parsePlan(spec)).map(({ transport, local }) => `${transport} ${local}`);
  expect(early('8000')).toEqual(['tcp 8000']);
  expect(early('0')).toEqual(['tcp 0']);
  expect(early('8000/udp')).toEqual(['udp 8000']);
  expect(early('8000/tcp+udp')).toEqual(['tcp 8000', 'udp 8000']);
  expect(early('same')).toEqual([]);
});

describe('whatever is offered', () => {
  const protocol = fc.constantFrom<Protocol>(...PROTOCOLS);
  const offered = fc.uniqueArray(fc.record({ port: fc.integer({ min: 1, max: 65535 }), protocol }), {
    minLength: 1,
    maxLength: 40,
    selector: ({ port }) => port,
  });
  const wanted = fc.record({
    at: fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.constantFrom('same' as const, 'any' as const)),
    protocol: fc.option(protocol, { nil: undefined }),
  });

  it('is opened once, at its distance from the first, or not at all', () => {
    fc.assert(
      fc.property(offered, wanted, (offer, want) => {
        const chosen = offer.flatMap((port, number) =>
          (['tcp', 'udp'] as const)
            .filter((over) => carries(port.protocol, over) && carries(want.protocol ?? 'tcp+udp', over))
            .map((transport) => ({ number, transport, remote: port.port })),
        );
        const first = chosen[0]?.remote ?? 0;
        const { at } = want;
        const shift = typeof at === 'number' ? at - first : 0;
        const fits = chosen.every(({ remote }) => remote + shift >= 1 && remote + shift <= 65535);
        if (chosen.length === 0 || !fits) {
          expect(thrownBy(() => planPorts(want, offer, 'x')).code).toBe('ports_mismatch');
          return;
        }
        const planned = planPorts(want, offer, 'x');
        expect(planned).toEqual(
          chosen.map((port) => ({ ...port, local: at === 'any' ? 0 : port.remote + shift })),
        );
        const places = planned.map(({ transport, local }) => `${transport} ${local}`);
        if (at !== 'any') expect(new Set(places).size).toBe(places.length);
      }),
    );
  });
});
