/** One answer to a listing as S3 services write it: a root, fields of it, and entries with fields of theirs, by name. */
export interface PlainListing {
  /** Such as `IsTruncated`. */
  readonly fields: ReadonlyMap<string, string>;
  /** Such as `Contents`, in order. What lies deeper (an owner) is left out. */
  readonly entries: readonly PlainEntry[];
}

export interface PlainEntry {
  readonly name: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** A tag and the text up to the next one. */
const TAG = /<(\/?)([A-Za-z][A-Za-z0-9]*)(?:\s[^<>]*?)?(\/?)>([^<]*)/y;
const HEAD = /^\s*(?:<\?xml[^<>]*\?>\s*)?/;
const ENTITY = /&(?:amp|lt|gt|quot|apos|#[0-9]{1,6}|#x[0-9A-Fa-f]{1,5});/g;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/**
 * Reads the few forms of XML that listings are written in: elements, attributes that do not matter, text and entities. `undefined` for anything else, and for what
 * is not closed as it was opened: a whole parser then says what it is. A quiet night is little but listings, and this takes a tenth of that parser's time.
 */
export function readPlainListing(text: string, root: string): PlainListing | undefined {
  const fields = new Map<string, string>();
  const entries: PlainEntry[] = [];
  const open: string[] = [];
  let isBegun = false;
  let value = '';
  let entry: Map<string, string> | undefined;
  TAG.lastIndex = HEAD.exec(text)?.[0].length ?? 0;
  while (TAG.lastIndex < text.length) {
    const [, slash, name, isEmpty, content] = TAG.exec(text) ?? [];
    if (name === undefined || content === undefined || (slash === '/' && isEmpty === '/')) return undefined;
    if (slash === '') {
      if (open.length === 0 && (isBegun || name !== root)) return undefined;
      isBegun = true;
      const said = isEmpty === '/' ? '' : decoded(content);
      if (said === undefined) return undefined;
      if (open.length === 1) [value, entry] = [said, undefined];
      if (open.length === 2) (entry ??= new Map()).set(name, said);
      open.push(name);
    }
    if (slash === '' && isEmpty === '') continue;
    if (open.pop() !== name) return undefined;
    if (open.length !== 1) continue;
    if (entry === undefined) fields.set(name, value);
    else entries.push({ name, fields: entry });
  }
  return isBegun && open.length === 0 ? { fields, entries } : undefined;
}

/** `undefined` for what only a whole parser may judge. */
function decoded(text: string): string | undefined {
  if (text.includes('\r')) return undefined;
  if (!text.includes('&')) return text;
  if (text.replace(ENTITY, '').includes('&')) return undefined;
  return text.replace(ENTITY, (entity) => NAMED[entity.slice(1, -1)] ?? String.fromCodePoint(codeOf(entity)));
}

function codeOf(entity: string): number {
  return entity.startsWith('&#x') ? Number.parseInt(entity.slice(3), 16) : Number.parseInt(entity.slice(2), 10);
}
