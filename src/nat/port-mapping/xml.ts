/** An element with what we want of it: no attributes, no namespaces, and the texts inside it in one piece. */
export interface XmlElement {
  /** Without prefix, in lower case: routers are careless. */
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4096;

/** All that exist. What a document declares for itself is skipped: it can neither name a file nor multiply. */
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Markup by how it begins: where it ends, and whether what is between is text. The first that fits counts. */
const MARKUP = [
  { begin: '<!--', end: '-->', kind: 'skipped' },
  { begin: '<![CDATA[', end: ']]>', kind: 'text' },
  { begin: '<!', end: '>', kind: 'skipped' },
  { begin: '<?', end: '?>', kind: 'skipped' },
  { begin: '</', end: '>', kind: 'closing' },
  { begin: '<', end: '>', kind: 'opening' },
] as const;

/**
 * Reads as much of a document as can be read: a router whose name has a bare `&` in it is still a router. Takes time in
 * proportion to its length, whatever it holds. Returns the root, or undefined for what has none, is too deep, or has too
 * many elements. Never throws.
 */
export function parseXml(document: string): XmlElement | undefined {
  const top: XmlElement = { name: '', text: '', children: [] };
  const path = [top];
  let elements = 0;
  for (let at = 0; at < document.length; ) {
    const inside = path.at(-1) ?? top;
    const start = document.indexOf('<', at);
    inside.text += decode(document.slice(at, start < 0 ? undefined : start));
    const markup = start < 0 ? undefined : MARKUP.find(({ begin }) => document.startsWith(begin, start));
    const end = markup ? document.indexOf(markup.end, start + markup.begin.length) : -1;
    if (!markup || end < 0) break;
    const content = document.slice(start + markup.begin.length, end);
    at = end + markup.end.length;
    if (markup.kind === 'text') {
      inside.text += content;
    } else if (markup.kind === 'closing') {
      close(path, nameOf(content));
    } else if (markup.kind === 'opening') {
      const element: XmlElement = { name: nameOf(content), text: '', children: [] };
      inside.children.push(element);
      if (++elements > MAX_ELEMENTS || path.length > MAX_DEPTH) return undefined;
      if (!content.endsWith('/')) path.push(element);
    }
  }
  return top.children[0];
}

/** Every element of that name, at any depth, in document order. */
export function findAll(element: XmlElement, name: string): XmlElement[] {
  const found = element.children.flatMap((child) => findAll(child, name));
  return element.name === name ? [element, ...found] : found;
}

/** The text of the first element of that name, without the space around it. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return findAll(element, name)[0]?.text.trim();
}

/** Closes the innermost element of that name, and what was left open in it; one that is not open closes nothing. */
function close(path: XmlElement[], name: string): void {
  const depth = path.findLastIndex((element) => element.name === name);
  if (depth > 0) path.length = depth;
}

function nameOf(tag: string): string {
  const [qualified = ''] = tag.split(/[\s/]/, 1);
  return qualified.slice(qualified.indexOf(':') + 1).toLowerCase();
}

function decode(text: string): string {
  return text.replace(/&(\w{1,8});/g, (whole, name: string) => ENTITIES.get(name) ?? whole);
}
