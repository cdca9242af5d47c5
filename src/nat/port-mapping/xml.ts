import sax from 'sax';

/** An element with what we want of it: no attributes, no namespaces, and the texts inside it in one piece. */
export interface XmlElement {
  /** Without prefix, in lower case: routers are careless. */
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

const MAX_DEPTH = 32;
const MAX_ELEMENTS = 4096;

/**
 * Reads a document as well as it can: a router whose name has a bare `&` in it is still a router. Only the five entities
 * of XML itself exist; a document's own are not declared, let alone expanded. Returns the root, or undefined for what is
 * no document, too deep, or too large. Never throws.
 */
export function parseXml(document: string): XmlElement | undefined {
  const root: XmlElement = { name: '', text: '', children: [] };
  const path = [root];
  let elements = 0;
  const options = { lowercase: true, noscript: true, strictEntities: true, position: false };
  const parser = sax.parser(false, options);
  parser.onopentag = ({ name }) => {
    elements++;
    const element: XmlElement = { name: localName(name), text: '', children: [] };
    path.at(-1)?.children.push(element);
    path.push(element);
    if (path.length > MAX_DEPTH || elements > MAX_ELEMENTS) throw new RangeError('too large a document');
  };
  parser.onclosetag = () => {
    if (path.length > 1) path.pop();
  };
  parser.ontext = (text) => addText(path, text);
  parser.oncdata = (text) => addText(path, text);
  parser.onerror = () => parser.resume();
  try {
    parser.write(document).close();
  } catch {
    return undefined;
  }
  return root.children[0];
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

function addText(path: readonly XmlElement[], text: string): void {
  const element = path.at(-1);
  if (element) element.text += text;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}
