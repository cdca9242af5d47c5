import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PORTS, offeredPorts, PROTOCOLS, type Protocol } from '../../../src/signaling/offered-ports.ts';
import {
  carries,
  formatPorts,
  fromRanges,
  parsePorts,
  portOf,
  toRanges,
} from '../../../src/tunnel/local/ports.ts';
import { thrownBy } from '../../support/errors.ts';

const protocol = fc.constantFrom<Protocol>(...PROTOCOLS);
/** Distinct ports in any order, each with a protocol; clustered, so that there are ranges. */
const ports = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 90 }), protocol), {
    minLength: 1,
    maxLength: 60,
    selector: ([port]) => port,
  })
  .map((all) => all.map(([port, protocol]) => ({ port: port * 700 + 1, protocol })));
const clustered = ports.map((all) =>
  all.map(({ port, protocol }, i) => ({ port: i % 3 ? port : port + 1, protocol })),
);

describe('the ports that a publisher offers', () => {
  it.each([
    [27015, '27015'],
    ['27015', '27015'],
    ['27015/udp', '27015/udp'],
    ['27015/tcp+udp', '27015/tcp+udp'],
    ['27015/tcp', '27015'],
    ['27015-27020/udp', '27015-27020/udp'],
    ['25565, 24454/udp,27015-27020/udp', '25565, 24454/udp, 27015-27020/udp'],
    [[25565, '24454/udp', '27015-27020/udp'], '25565, 24454/udp, 27015-27020/udp'],
    [['1,2', 3, '5'], '1-3, 5'],
    ['25565,25565/udp', '25565/tcp+udp'],
    ['2-3/udp,1-2', '2/tcp+udp, 3/udp, 1'],
    ['1-256', '1-256'],
    ['65535', '65535'],
  ])('%j', (spec, formatted) => {
    expect(formatPorts(parsePorts(spec))).toBe(formatted);
  });

  it('take the protocol that is usual where they name none', () => {
    expect(parsePorts('1,2/tcp', 'udp')).toEqual([
      { port: 1, protocol: 'udp' },
      { port: 2, protocol: 'tcp' },
    ]);
  });

  it.each([
    ['0', "'0' is not a valid port"],
    ['65536', "'65536' is not a valid port"],
    ['8e1', "'8e1' is not a valid port"],
    [1.5, "'1.5' is not a valid port"],
    ['1,x', "'x' is not a valid port"],
    ['60000-65536', "'65536' is not a valid port"],
    ['', "'' is neither a port nor a range of ports"],
    ['80,', "'' is neither a port nor a range of ports"],
    [[], "'' is neither a port nor a range of ports"],
    ['-1', "'-1' is neither a port nor a range of ports"],
    ['1-2-3', "'1-2-3' is neither a port nor a range of ports"],
    ['80/sctp', "'sctp' is not tcp, udp or tcp+udp"],
    ['80/', "'' is not tcp, udp or tcp+udp"],
    ['9-8', '9-8 ends before it begins'],
    ['80,80', '80/tcp is there twice'],
    ['80/tcp+udp,80/udp', '80/udp is there twice'],
    ['80/udp,79-81/tcp+udp', '80/udp is there twice'],
    ['80,80/udp,80', '80/tcp is there twice'],
    ['1-257', 'a tunnel has at most 256 ports'],
    ['1-60000', 'a tunnel has at most 256 ports'],
    ['1-200,301-357', 'a tunnel has at most 256 ports'],
    [Array.from({ length: 65 }, (_, i) => 1 + 2 * i), 'a tunnel has at most 64 ranges of ports'],
  ])('%j: %s', (spec, problem) => {
    expect(thrownBy(() => parsePorts(spec)).message).toContain(problem);
  });

  it('are read as they are written, and told as an answer may tell them', () => {
    fc.assert(
      fc.property(ports, (all) => {
        expect(parsePorts(formatPorts(all))).toEqual(all);
        expect(parsePorts(formatPorts(all).split(', '))).toEqual(all);
        expect(fromRanges(offeredPorts.parse(JSON.parse(JSON.stringify(toRanges(all)))))).toEqual(all);
      }),
    );
  });

  it('keep their numbers through ranges of every kind', () => {
    const range = fc.record({
      port: fc.integer({ min: 1, max: 30 }).map((n) => n * 2000),
      count: fc.integer({ min: 1, max: 8 }),
      protocol,
    });
    const ranges = fc.uniqueArray(range, { minLength: 1, maxLength: 20, selector: ({ port }) => port });
    fc.assert(
      fc.property(ranges, (all) => {
        const list = fromRanges(all);
        expect(fromRanges(toRanges(list))).toEqual(list);
        expect(list.length).toBeLessThanOrEqual(MAX_PORTS);
        expect(parsePorts(formatPorts(list))).toEqual(list);
      }),
    );
  });

  it('can be reached by their numbers, over what they are offered over, and nothing else can', () => {
    fc.assert(
      fc.property(
        clustered,
        fc.integer({ min: -2, max: 70 }),
        fc.constantFrom('tcp' as const, 'udp' as const),
        (all, number, over) => {
          const found = portOf(all, number, over);
          const there = all[number];
          expect(found).toBe(there !== undefined && carries(there.protocol, over) ? there.port : undefined);
        },
      ),
    );
    expect(portOf(parsePorts('1-3'), 0.5, 'tcp')).toBeUndefined();
  });

  it('never makes the reader throw anything but its own errors', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789-/,+ tcpudx'), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (spec) => {
        try {
          const read = parsePorts(spec);
          expect(parsePorts(formatPorts(read))).toEqual(read);
        } catch (error) {
          expect(
            thrownBy(() => {
              throw error;
            }).code,
          ).toMatch(/^ports?_invalid$/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
