import { compareNames, parseTree, type ByteString, type Id, type Node } from '../format/index.ts';
import { goUnquote } from '../format/go-text.ts';
import { parseJson } from '../format/json.ts';

const start = '{"nodes":[';
const nameStart = '{"name":"';
const afterName = '","type":"';
const contentStart = ',"content":';

/**
 * A tree of the parent snapshot, read along with the walk, in order of names. A node that would be written again byte for byte is
 * recognised in the text and taken over as text: nothing is parsed for what has not changed.
 *
 * Only texts in the canonical form of restic's and ours are read so; in any other every node is parsed.
 */
export class ParentTree {
  readonly id: Id;
  readonly #text: string;
  readonly #isCanonical: boolean;
  #parsed: ReadonlyMap<ByteString, Node> | undefined;
  #cursor = start.length;

  constructor(id: Id, json: Uint8Array) {
    this.id = id;
    this.#text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8');
    this.#isCanonical = this.#text.startsWith(start) && this.#text.trimEnd().endsWith(']}') && !this.#text.includes('"generic_attributes":');
  }

  /** Whether every node so far was taken, and none is left: then the new tree is this one. */
  get isUsedUp(): boolean {
    return this.#isCanonical && this.#text.charCodeAt(this.#cursor) === 0x5d;
  }

  /**
   * The whole text of the next node when it begins with `head` (`encodeNodeHead` without attributes and content) and goes on with
   * attributes or content; the cursor moves past it.
   */
  takeIfUnchanged(head: string): string | undefined {
    if (!this.#isCanonical || !this.#text.startsWith(head, this.#cursor)) return undefined;
    const after = this.#cursor + head.length;
    if (!this.#text.startsWith(contentStart, after) && !this.#text.startsWith(',"extended_attributes":', after)) return undefined;
    const end = this.#nodeEnd();
    if (end < 0) return undefined;
    const node = this.#text.slice(this.#cursor, end);
    // What was not read well the last time is read again.
    if (node.endsWith('"}') && node.includes(',"error":"')) return undefined;
    this.#pass(end);
    return node;
  }

  /**
   * The node of that name, parsed; the cursor moves past it and all that come before it. Call with rising names.
   * @throws {EngineError} `Damaged`
   */
  find(name: ByteString): Node | undefined {
    if (!this.#isCanonical) return this.#all().get(name);
    for (;;) {
      if (!this.#text.startsWith(nameStart, this.#cursor)) return undefined;
      const nameEnd = this.#text.indexOf(afterName, this.#cursor);
      const quoted = parseJson(Buffer.from(this.#text.slice(this.#cursor + nameStart.length - 1, nameEnd + 1)), `tree ${this.id}`);
      const found = typeof quoted === 'string' ? goUnquote(quoted) : undefined;
      const end = this.#nodeEnd();
      if (found === undefined || end < 0) return undefined;
      const order = compareNames(found, name);
      if (order > 0) return undefined;
      const text = this.#text.slice(this.#cursor, end);
      this.#pass(end);
      if (order === 0) return parseTree(Buffer.from(`${start}${text}]}`), `tree ${this.id}`).nodes[0];
    }
  }

  #pass(end: number): void {
    this.#cursor = this.#text.charCodeAt(end) === 0x2c ? end + 1 : end;
  }

  /** Behind the node at the cursor, or -1 when its form is not the usual one. Quotes within texts are escaped, so `"content":` is the member. */
  #nodeEnd(): number {
    const content = this.#text.indexOf(contentStart, this.#cursor);
    if (content < 0) return -1;
    const value = content + contentStart.length;
    let end = this.#text.startsWith('null', value) ? value + 4 : this.#text.indexOf(']', value) + 1;
    if (end <= 0) return -1;
    if (this.#text.startsWith(',"subtree":"', end)) end += ',"subtree":""'.length + 64;
    if (this.#text.startsWith(',"error":"', end)) end = this.#text.indexOf('"}', end) + 1;
    return this.#text.charCodeAt(end) === 0x7d ? end + 1 : -1;
  }

  #all(): ReadonlyMap<ByteString, Node> {
    return (this.#parsed ??= new Map(parseTree(Buffer.from(this.#text), `tree ${this.id}`).nodes.map((node) => [node.name, node])));
  }
}

/** Where the ids of a node's content begin in its text, or nothing where it has none. */
export function* contentIdsOf(node: string): Generator<number> {
  let at = node.indexOf(contentStart) + contentStart.length;
  if (node.charCodeAt(at) !== 0x5b) return;
  for (at += 1; node.charCodeAt(at) === 0x22; at += 67) yield at + 1;
}
