import { byteStringFromBytes, byteStringFromText, bytesOf, utf8TextOf, type ByteString } from './byte-string.ts';
import { damaged } from './damaged.ts';
import { goJson, goJsonBytes, goJsonString, goQuote, goUnquote } from './go-text.ts';
import { isId, JsonReader } from './json.ts';
import type { ExtendedAttribute, Id, Node, NodeType, Tree, Uint64 } from './node.ts';

/** The JSON of one node, byte for byte as restic writes it: members in its order, Go's escapes, zeroes left out. */
export function encodeNode(node: Node): string {
  const content = node.content === null ? 'null' : node.content.length === 0 ? '[]' : `["${node.content.join('","')}"]`;
  return encodeNodeHead(node) + content + encodeNodeTail(node);
}

/** Everything before the value of `content`, for callers that know that value's text already. */
export function encodeNodeHead(node: Node): string {
  let json = `{"name":${goJsonString(goQuote(node.name))},"type":"${node.type}"`;
  if (node.mode !== 0) json += `,"mode":${node.mode}`;
  json += `,"mtime":"${node.mtime}","atime":"${node.atime}","ctime":"${node.ctime}","uid":${node.uid},"gid":${node.gid}`;
  if (isSet(node.user)) json += `,"user":${goJsonString(node.user)}`;
  if (isSet(node.group)) json += `,"group":${goJsonString(node.group)}`;
  json += number('inode', node.inode) + number('device_id', node.deviceId) + number('size', node.size) + number('links', node.links);
  if (isSet(node.linkTarget)) json += encodeLinkTarget(node.linkTarget);
  if (node.extendedAttributes !== undefined && node.extendedAttributes.length > 0) {
    json += `,"extended_attributes":[${node.extendedAttributes.map(encodeAttribute).join(',')}]`;
  }
  if (node.genericAttributes !== undefined) json += `,"generic_attributes":${goJson(node.genericAttributes)}`;
  return `${json}${number('device', node.device)},"content":`;
}

export function encodeNodeTail(node: Pick<Node, 'subtree' | 'error'>): string {
  return `${isSet(node.subtree) ? `,"subtree":"${node.subtree}"` : ''}${isSet(node.error) ? `,"error":${goJsonString(node.error)}` : ''}}`;
}

/** The blob of a tree from its nodes' JSON, which must be sorted by the bytes of their names. restic ends it with a newline. */
export function encodeTreeOf(nodes: readonly string[]): Buffer {
  return Buffer.from(`{"nodes":[${nodes.join(',')}]}\n`, 'utf8');
}

export function encodeTree(tree: Tree): Buffer {
  return encodeTreeOf(tree.nodes.map(encodeNode));
}

/** Orders nodes as trees need it: by the bytes of their names. */
export function compareNames(one: ByteString, other: ByteString): number {
  return one < other ? -1 : one > other ? 1 : 0;
}


function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function number(field: string, value: Uint64 | undefined): string {
  return value === undefined || value === 0 || value === 0n ? '' : `,"${field}":${String(value)}`;
}

function encodeLinkTarget(target: ByteString): string {
  const json = `,"linktarget":${goJsonBytes(target)}`;
  return utf8TextOf(target) === undefined ? `${json},"linktarget_raw":"${bytesOf(target).toString('base64')}"` : json;
}

function encodeAttribute(attribute: ExtendedAttribute): string {
  return `{"name":${goJsonBytes(attribute.name)},"value":"${Buffer.from(attribute.value).toString('base64')}"}`;
}

/**
 * Reads a tree blob that anyone may have written.
 * Names are unquoted but not judged: whoever makes files from them refuses `/`, NUL and `..`.
 * @throws {EngineError} `Damaged`
 */
export function parseTree(json: Uint8Array, what: string): Tree {
  const reader = new JsonReader(parseExact(json, what), what);
  if (!reader.has('nodes')) return { nodes: [] };
  return { nodes: reader.list('nodes').map((node) => parseNode(node, what)) };
}

/** A number of 16 digits or more may be beyond 2^53, where `JSON.parse` would round it (inodes of overlay file systems are). */
const longNumber = /[:[,]\s*\d{16}/;

function parseExact(json: Uint8Array, what: string): unknown {
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8');
  try {
    if (!longNumber.test(text)) return JSON.parse(text) as unknown;
    return JSON.parse(text, exactNumber) as unknown;
  } catch (cause) {
    throw damaged(what, 'it is no valid JSON', cause);
  }
}

function exactNumber(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined || !/^\d{1,20}$/.test(context.source)) return value;
  return BigInt(context.source);
}

const nodeTypes: ReadonlySet<unknown> = new Set(['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular'] satisfies NodeType[]);

function isNodeType(value: unknown): value is NodeType {
  return nodeTypes.has(value);
}

function parseNode(value: unknown, what: string): Node {
  const reader = new JsonReader(value, what);
  const name = goUnquote(reader.text('name'));
  if (name === undefined) throw damaged(what, 'a name in it is not quoted as restic quotes names');
  const entry = `${what}, entry "${reader.text('name')}"`;
  const type = reader.value('type');
  if (!isNodeType(type)) throw damaged(entry, 'its type is unknown');
  const subtree = reader.optionalId('subtree');
  if (type === 'dir' && subtree === undefined) throw damaged(entry, 'it is a directory without a tree');
  return {
    name,
    type,
    mode: reader.optionalCount('mode') ?? 0,
    mtime: reader.optionalText('mtime') ?? zeroTime,
    atime: reader.optionalText('atime') ?? zeroTime,
    ctime: reader.optionalText('ctime') ?? zeroTime,
    uid: reader.optionalCount('uid') ?? 0,
    gid: reader.optionalCount('gid') ?? 0,
    user: reader.optionalText('user'),
    group: reader.optionalText('group'),
    inode: uint64(reader, 'inode', entry),
    deviceId: uint64(reader, 'device_id', entry),
    size: reader.optionalCount('size', Number.MAX_SAFE_INTEGER),
    links: uint64(reader, 'links', entry),
    linkTarget: parseLinkTarget(reader),
    extendedAttributes: reader.has('extended_attributes') ? reader.list('extended_attributes').map((item) => parseAttribute(item, entry)) : undefined,
    genericAttributes: parseGeneric(reader),
    device: uint64(reader, 'device', entry),
    content: reader.has('content') ? reader.list('content').map((id) => contentId(id, entry)) : null,
    subtree,
    error: reader.optionalText('error'),
  };
}

/** Go's zero time, which restic writes where it knows none. */
const zeroTime = '0001-01-01T00:00:00Z';

function contentId(id: unknown, entry: string): Id {
  if (!isId(id)) throw damaged(entry, 'its content is no list of ids');
  return id;
}

function uint64(reader: JsonReader, field: string, entry: string): Uint64 | undefined {
  const value = reader.value(field);
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'bigint' && value < 1n << 64n) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw damaged(entry, `its field "${field}" is no whole number`);
}

function parseLinkTarget(reader: JsonReader): ByteString | undefined {
  const raw = reader.optionalText('linktarget_raw');
  if (raw !== undefined) return byteStringFromBytes(Buffer.from(raw, 'base64'));
  const text = reader.optionalText('linktarget');
  return text === undefined ? undefined : byteStringFromText(text);
}

function parseAttribute(value: unknown, entry: string): ExtendedAttribute {
  const reader = new JsonReader(value, entry);
  return { name: byteStringFromText(reader.text('name')), value: Buffer.from(reader.optionalText('value') ?? '', 'base64') };
}

function parseGeneric(reader: JsonReader): Readonly<Record<string, unknown>> | undefined {
  const value = reader.value('generic_attributes');
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
