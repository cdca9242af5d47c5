import { expect, it } from 'vitest';
import { Waste } from '../../src/quic/waste.ts';

const MIB = 1024 * 1024;

/** How many MiB arrive until it is too much; undefined for more than 1000. */
function patience(waste: Waste, genuineShare: number, meanwhile: () => void = () => {}): number | undefined {
  let packets = 0;
  for (let mib = 1; mib <= 1000; mib++) {
    for (let i = 0; i < 1024; i++) waste.arrived(1024);
    packets += 1024;
    meanwhile();
    if (waste.isTooMuch(() => packets * genuineShare)) return mib;
  }
  return undefined;
}

it('is too much after some 16 MiB that carry nothing', () => {
  expect(patience(new Waste(), 1)).toBe(17);
});

it('is never too much while streams move, either way', () => {
  const waste = new Waste();
  expect(patience(waste, 1, () => waste.carried(0.9 * MIB))).toBeUndefined();
});

it('is never too much while datagrams move, however small, either way', () => {
  const waste = new Waste();
  let tooMuch = false;
  for (let i = 0; i < 2_000_000; i++) {
    waste.arrived(73);
    waste.carried(20, 1);
    tooMuch ||= waste.isTooMuch(() => i);
  }
  expect(tooMuch).toBe(false);
});

it('is not excused by many small datagrams in each packet', () => {
  const waste = new Waste();
  expect(
    patience(waste, 1, () => {
      for (let i = 0; i < 1024; i++) for (let n = 0; n < 100; n++) waste.carried(1, 1);
    }),
  ).toBeLessThan(40);
});

it('is not what others have invented', () => {
  expect(patience(new Waste(), 0)).toBeUndefined();
  expect(patience(new Waste(), 0.4)).toBe(41);
});

it('is forgiven with time', () => {
  const waste = new Waste();
  expect(
    patience(waste, 1, () => {
      for (let i = 0; i < 16; i++) waste.pardon();
    }),
  ).toBeUndefined();
});
