import { expect, it } from 'vitest';
import { Alarms, Deadlines, earliest } from '../../src/signaling/deadlines.ts';

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

it('keeps one alarm a key, whatever its delay', () => {
  const alarms = new Alarms<string>();
  alarms.set('a', 10, 0);
  alarms.set('b', 5, 1);
  alarms.set('c', 10, 2);
  alarms.set('a', 1000, 3);
  expect(alarms.size).toBe(3);
  expect(alarms.next()).toBe(6);
  expect(alarms.expire(5)).toBeUndefined();
  expect([alarms.expire(500), alarms.expire(500), alarms.expire(500)].sort()).toEqual(['b', 'c', undefined]);
  alarms.delete('c');
  expect(alarms.next()).toBe(1003);
  alarms.delete('a');
  expect(alarms.next()).toBeUndefined();
  expect(alarms.size).toBe(0);
});
