/** Tar's blocks, bytes. */
export const BLOCK = 512;
const NAME_BYTES = 100;
const MAX_SIZE = 0o77777777777;

const FILE = 0x30;
const FOLDER = 0x35;
/** The old way to say "file". */
const OLD_FILE = 0;

export interface TarEntry {
  /** `/`-separated; folders end with a slash. */
  readonly name: string;
  /** Bytes; 0 for folders. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

/**
 * A header block of the POSIX ustar format (IEEE 1003.1, "ustar Interchange Format"): owner 0:0, mode 0644, folders 0755. The same
 * entry gives the same bytes for ever: downloads are resumed on that.
 */
export function encodeHeader({ name, size, mtime }: TarEntry): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.byteLength > NAME_BYTES || size > MAX_SIZE) throw new RangeError(`${name} does not fit into a plain tar header`);
  const folder = name.endsWith('/');
  const block = new Uint8Array(BLOCK);
  block.set(bytes);
  putOctal(block, 100, 8, folder ? 0o755 : 0o644);
  putOctal(block, 108, 8, 0);
  putOctal(block, 116, 8, 0);
  putOctal(block, 124, 12, size);
  putOctal(block, 136, 12, mtime);
  block[156] = folder ? FOLDER : FILE;
  putText(block, 257, 'ustar\x0000');
  putOctal(block, 329, 8, 0);
  putOctal(block, 337, 8, 0);
  // Six digits, a NUL and a space: that is how this one field ends.
  putText(block, 148, `${checksumOf(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** How many zero bytes follow `size` bytes of content. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

export type DecodedHeader = { readonly kind: 'file' | 'folder'; readonly name: string; readonly size: number } | { readonly kind: 'end' };

/**
 * Reads one header block, and refuses everything that our files do not need: links, devices, sparse files, long-name and pax
 * records, whose meaning depends on who reads them.
 * @throws {TypeError} that says what is wrong.
 */
export function decodeHeader(block: Uint8Array): DecodedHeader {
  if (block.every((byte) => byte === 0)) return { kind: 'end' };
  if (readOctal(block, 148, 8) !== checksumOf(block)) throw new TypeError('a header has a wrong checksum');
  if (readText(block, 257, 5) !== 'ustar') throw new TypeError('it is not a tar of the ustar kind');
  const type = block[156];
  const prefix = readText(block, 345, 155);
  const name = prefix === '' ? readText(block, 0, NAME_BYTES) : `${prefix}/${readText(block, 0, NAME_BYTES)}`;
  const size = readOctal(block, 124, 12);
  switch (type) {
    case OLD_FILE:
    case FILE:
      return { kind: 'file', name, size };
    case FOLDER:
      if (size !== 0) throw new TypeError(`the folder ${printable(name)} has content`);
      return { kind: 'folder', name, size: 0 };
    case undefined:
    default:
      throw new TypeError(`${printable(name)} is neither a file nor a folder (type ${printable(String.fromCharCode(type ?? 0))})`);
  }
}

/** Names from a hostile file go into messages without control characters, and not at full length. */
export function printable(text: string): string {
  return text.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
}

/** The sum of all bytes, with the checksum's own field as spaces. */
function checksumOf(block: Uint8Array): number {
  return block.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}

function putOctal(block: Uint8Array, at: number, length: number, value: number): void {
  putText(block, at, `${value.toString(8).padStart(length - 1, '0')}\0`);
}

function putText(block: Uint8Array, at: number, text: string): void {
  block.set(new TextEncoder().encode(text), at);
}

function readText(block: Uint8Array, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder('latin1').decode(end < 0 ? field : field.subarray(0, end));
}

/** Base-256 numbers (a set high bit) are not octal and are refused with the rest. */
function readOctal(block: Uint8Array, at: number, length: number): number {
  const text = readText(block, at, length).trim();
  if (!/^[0-7]{1,12}$/.test(text)) throw new TypeError('a header holds something that is not a number');
  return parseInt(text, 8);
}
