/**
 * The little XML that the S3 protocol needs: flat elements by name, in answers whose shape is
 * known. Not a parser: no attributes, no nesting of one name in itself, which these answers do not
 * have.
 */

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** The contents of all elements of this name, as they stand. */
export function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  for (const [, content] of xml.matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, 'g'))) {
    found.push(content!);
  }
  return found;
}

/** The text of the first element of this name; empty when there is none. */
export function textIn(xml: string, name: string): string {
  return plain(elements(xml, name)[0] ?? '');
}

/**
 * Decodes keys of a list as far as the answer says that they are encoded; not every server does.
 */
export function keyDecoder(xml: string): (key: string) => string {
  if (textIn(xml, 'EncodingType') !== 'url') return (key) => key;
  return (key) => decodeURIComponent(key.replaceAll('+', '%20'));
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function plain(text: string): string {
  return text.replace(/&(#x?[\da-fA-F]+|\w+);/g, (whole, entity: string) => {
    if (!entity.startsWith('#')) return ENTITIES[entity] ?? whole;
    const code = entity[1] === 'x' ? parseInt(entity.slice(2), 16) : parseInt(entity.slice(1), 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
