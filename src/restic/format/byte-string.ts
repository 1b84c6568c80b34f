/**
 * A file name, link target or path as the kernel holds it: bytes, one UTF-16 unit (0–255) for each byte. Names need not be
 * UTF-8, sorting by unit is sorting by byte (which restic's trees demand), and an ASCII name is simply itself.
 * `fs` functions yield it for the encoding `latin1`.
 */
export type ByteString = string & { readonly [byteBrand]: true };
declare const byteBrand: unique symbol;

const nonAscii = /[^\0-\x7f]/;
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** `units` holds bytes already (0–255 each), e.g. from `Buffer.toString('latin1')`. */
export function byteString(units: string): ByteString {
  return units as ByteString;
}

export function byteStringFromText(text: string): ByteString {
  return byteString(nonAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text);
}

export function byteStringFromBytes(bytes: Uint8Array): ByteString {
  return byteString(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
}

export function bytesOf(name: ByteString): Buffer {
  return Buffer.from(name, 'latin1');
}

/** For people, globs and JSON reports: UTF-8 decoded, with U+FFFD for what is not UTF-8. */
export function textOf(name: ByteString): string {
  return nonAscii.test(name) ? lossy.decode(bytesOf(name)) : name;
}

/** The text when the bytes are UTF-8, else `undefined`. */
export function utf8TextOf(name: ByteString): string | undefined {
  if (!nonAscii.test(name)) return name;
  try {
    return strict.decode(bytesOf(name));
  } catch {
    return undefined;
  }
}

/** What Node's `fs` functions take as a path: the string itself where it is ASCII, else its bytes. */
export function fsPath(path: ByteString): string | Buffer {
  return nonAscii.test(path) ? bytesOf(path) : path;
}

/**
 * The same text in one piece. A concatenation is a tree of its parts until somebody asks for a character; one that is kept for a while takes
 * several times the memory so, and the garbage collector walks through it each time.
 */
export function flattened(text: string): string {
  text.charCodeAt(0);
  return text;
}
