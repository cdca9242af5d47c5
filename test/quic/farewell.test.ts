import { expect, it } from 'vitest';
import { Farewell } from '../../src/quic/farewell.ts';

it('is repeated less and less often, and then no more', () => {
  const farewell = new Farewell(Buffer.from('bye'));
  const answered: number[] = [];
  for (let i = 1; i <= 1000; i++) if (farewell.answer() !== undefined) answered.push(i);
  expect(answered).toEqual([1, 2, 4, 8, 16, 32]);
});
