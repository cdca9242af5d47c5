import { describe, expect, it } from 'vitest';
import { ChunkAppender, copyOf } from '../../src/net/chunk-appender.ts';

/** The memory that a list of chunks keeps alive, in bytes. */
function memoryOf(list: readonly Buffer[]): number {
  const memories = new Set(list.map(({ buffer }) => buffer));
  return [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

describe('chunks that are appended to a list', () => {
  it('are as they were when they are large, and copied together when they are small', () => {
    const [list, appender] = [[] as Buffer[], new ChunkAppender()];
    const large = Buffer.alloc(5000, 'L');
    for (const chunk of [
      large,
      Buffer.from('a'),
      Buffer.from('b'),
      large,
      Buffer.from('c'),
      Buffer.from('d'),
    ])
      appender.append(chunk, list);
    expect(list.map(({ length }) => length)).toEqual([5000, 2, 5000, 2]);
    expect([list[0], list[2]]).toEqual([large, large]);
    expect(list[2]).toBe(large);
    expect(`${list[1]}${list[3]}`).toBe('abcd');
    list.length = 0;
    appender.reset();
    appender.append(Buffer.from('e'), list);
    appender.append(Buffer.from('f'), list);
    expect(String(Buffer.concat(list))).toBe('ef');
  });

  it('take little more memory than they have bytes, in whatever order they come', () => {
    for (const sizes of [[1], [2049, 1], [2048, 2049], [2049, 1, 1, 1], [3000, 2048]]) {
      const [list, appender] = [[] as Buffer[], new ChunkAppender()];
      let bytes = 0;
      for (let i = 0; i < 2000; i++) {
        const chunk = Buffer.allocUnsafeSlow(sizes[i % sizes.length] as number);
        appender.append(chunk, list);
        bytes += chunk.length;
      }
      expect(memoryOf(list)).toBeLessThan(1.2 * bytes + 20_000);
    }
  });

  it('leave what was handed out of the last one as it is', () => {
    const [list, appender] = [[] as Buffer[], new ChunkAppender()];
    for (const text of ['first', 'abc']) appender.append(Buffer.from(text), list);
    const taken = list[1] as Buffer;
    appender.append(Buffer.from('def'), list);
    expect([String(taken), String(list[1])]).toEqual(['abc', 'abcdef']);
  });
});

it('a copy is in memory of its own', () => {
  const copy = copyOf(Buffer.from('small'));
  expect([String(copy), copy.buffer.byteLength]).toEqual(['small', 5]);
});
