import { expect, it } from 'vitest';
import { Deadlines, earliest } from '../../src/signaling/deadlines.ts';

it('expires keys in order, each a delay after it was last set', () => {
  const deadlines = new Deadlines<string>(10);
  deadlines.set('a', 0);
  deadlines.set('b', 1);
  deadlines.set('c', 2);
  deadlines.set('a', 3);
  deadlines.delete('c');
  expect(deadlines.next()).toBe(11);
  expect(deadlines.expire(10)).toBeUndefined();
  expect(deadlines.expire(20)).toBe('b');
  expect(deadlines.next()).toBe(13);
  expect(deadlines.expire(20)).toBe('a');
  expect(deadlines.expire(20)).toBeUndefined();
  expect(deadlines.next()).toBeUndefined();
  expect(deadlines.size).toBe(0);
});

it('finds the earliest, where undefined is never', () => {
  expect(earliest(undefined, 3, 2, undefined)).toBe(2);
  expect(earliest(undefined)).toBeUndefined();
});
