import { describe, expect, it } from 'vitest';
import { findAll, parseXml, textOf } from '../../../src/nat/port-mapping/xml.ts';
import { forSeeds, mutate } from '../../support/seeds.ts';

describe('XML from a router', () => {
  it('is read without prefixes, attributes and case', () => {
    const root = parseXml(
      '<?xml version="1.0"?><s:Root a="1"><Name> A &amp; B<![CDATA[<c>]]></Name><n:Empty/></s:Root>',
    );
    expect(root).toEqual({
      name: 'root',
      text: '',
      children: [
        { name: 'name', text: ' A & B<c>', children: [] },
        { name: 'empty', text: '', children: [] },
      ],
    });
    expect(root && textOf(root, 'name')).toBe('A & B<c>');
    expect(root && textOf(root, 'none')).toBeUndefined();
  });

  it('is found at any depth, in order', () => {
    const root = parseXml('<a><b>1</b><c><b>2</b><b>3<b>4</b></b></c></a>');
    expect(root && findAll(root, 'b').map(({ text }) => text)).toEqual(['1', '2', '3', '4']);
  });

  it('may be careless', () => {
    const root = parseXml('\n<root><name>Tom & Jerry</name><p>un</q>closed<x>1</x></root>\0\0');
    expect(root && textOf(root, 'name')).toBe('Tom & Jerry');
    expect(root && textOf(root, 'x')).toBe('1');
  });

  it('expands no entities of its own', () => {
    const laughs = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join(
      '',
    );
    const root = parseXml(
      `<!DOCTYPE r [<!ENTITY l0 "ha">${laughs}<!ENTITY f SYSTEM "file:///etc/passwd">]><r>&l9;&f;</r>`,
    );
    expect(root?.text).toBe('&l9;&f;');
  });

  it('has an end', () => {
    expect(parseXml('<a>'.repeat(1000))).toBeUndefined();
    expect(parseXml(`<a>${'<b/>'.repeat(5000)}</a>`)).toBeUndefined();
  });

  it('takes time in proportion to its length, whatever it holds', () => {
    const pieces = [
      'a',
      '&',
      '&a;',
      '<',
      '>',
      '<a ',
      'b="',
      '</b>',
      '<!',
      '<!-',
      '<!--',
      '-',
      '<![CDATA[',
      ']',
      '<?',
      '<a/',
    ];
    for (const first of ['', '<a>', '<!', '<!--', '<!DOCTYPE a [', '<![CDATA[', '<?', '<a b="']) {
      for (const piece of pieces) {
        const document = first + piece.repeat((256 * 1024) / piece.length);
        const started = performance.now();
        parseXml(document);
        expect(performance.now() - started, first + piece).toBeLessThan(1000);
      }
    }
  });

  it.each(['', 'hello', '<', '<!--', '<![CDATA[', '<?xml', '\0'])('is not %j', (text) => {
    expect(parseXml(text)).toBeUndefined();
  });

  it('never throws', () => {
    const bytes = Buffer.from(
      '<!DOCTYPE a [<!ENTITY b "c">]><a b="c&lt;"><!-- d --><e>&#102;</e><![CDATA[g]]></a>',
    );
    forSeeds(3000, (random) => {
      parseXml(mutate(bytes, random).toString());
    });
  });
});
