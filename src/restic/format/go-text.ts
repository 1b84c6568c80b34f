import { bytesOf, byteStringFromText, utf8TextOf, type ByteString } from './byte-string.ts';

/**
 * Texts as Go writes them, so that the same tree has the same bytes, and the same id, whoever wrote it:
 * `encoding/json` strings, and `strconv.Quote` for names (design.rst "Trees and Data").
 */

const plainAscii = /^[ !#-%'-;=?-[\]-~]*$/;
const needsGoEscape = /[<>&\u2028\u2029]/g;
/** What Go's `unicode.IsPrint` accepts: letters, marks, numbers, punctuation, symbols, and the ASCII space. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** A JSON string literal of a text. */
export function goJsonString(text: string): string {
  if (plainAscii.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(needsGoEscape, escapeUnit);
}

/** A whole JSON value with Go's HTML-safe escapes; members in the order in which they were set. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(needsGoEscape, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${hex(unit.charCodeAt(0), 4)}`;
}

/** A JSON string literal of bytes: Go puts an escaped U+FFFD for each byte that is not UTF-8. */
export function goJsonBytes(bytes: ByteString): string {
  const text = utf8TextOf(bytes);
  if (text !== undefined) return goJsonString(text);
  let json = '"';
  for (const rune of runesOf(bytesOf(bytes))) {
    json += rune.valid ? goJsonString(String.fromCodePoint(rune.code)).slice(1, -1) : '\\ufffd';
  }
  return `${json}"`;
}

/** `strconv.Quote` without its outer quotes. */
export function goQuote(name: ByteString): string {
  if (plainAscii.test(name)) return name;
  let quoted = '';
  for (const rune of runesOf(bytesOf(name))) quoted += rune.valid ? quoteRune(rune.code) : `\\x${hex(rune.code, 2)}`;
  return quoted;
}

const shortEscapes: Readonly<Record<number, string>> = {
  7: '\\a', 8: '\\b', 12: '\\f', 10: '\\n', 13: '\\r', 9: '\\t', 11: '\\v', 0x22: '\\"', 0x5c: '\\\\',
};

function quoteRune(code: number): string {
  const short = shortEscapes[code];
  if (short !== undefined) return short;
  const text = String.fromCodePoint(code);
  if (printable.test(text)) return text;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** `strconv.Unquote` of a name without its outer quotes; `undefined` when Go would refuse it. */
export function goUnquote(quoted: string): ByteString | undefined {
  if (quoted.includes('"') && !quoted.includes('\\')) return undefined;
  if (quoted.includes('\n')) return undefined;
  if (!quoted.includes('\\')) return byteStringFromText(quoted);
  const escape = /\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))|([^\\"]+)/y;
  let bytes = '';
  for (let at = 0; at < quoted.length; at = escape.lastIndex) {
    escape.lastIndex = at;
    const match = escape.exec(quoted);
    if (match === null) return undefined;
    const piece = unquotedPiece(match);
    if (piece === undefined) return undefined;
    bytes += piece;
  }
  return bytes as ByteString;
}

const shortBytes: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"',
};

function unquotedPiece([, short, x, u, U, octal, plain]: RegExpExecArray): string | undefined {
  if (plain !== undefined) return byteStringFromText(plain);
  if (short !== undefined) return shortBytes[short];
  if (x !== undefined) return String.fromCharCode(Number.parseInt(x, 16));
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 255 ? undefined : String.fromCharCode(byte);
  }
  const code = Number.parseInt(u ?? U ?? '', 16);
  const isScalar = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return isScalar ? byteStringFromText(String.fromCodePoint(code)) : undefined;
}

/** Go's UTF-8 decoding: what is no shortest, valid encoding of a scalar value counts as single invalid bytes. */
function* runesOf(bytes: Uint8Array): Generator<{ readonly valid: boolean; readonly code: number }> {
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    const code = length === 0 ? -1 : decodeRune(bytes, at, length);
    yield code < 0 ? { valid: false, code: lead } : { valid: true, code };
    at += code < 0 ? 1 : length;
  }
}

function decodeRune(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at] ?? 0;
  if (length === 1) return lead;
  let code = lead & (0x7f >> length);
  for (let next = 1; next < length; next += 1) {
    const byte = bytes[at + next] ?? 0;
    if ((byte & 0xc0) !== 0x80) return -1;
    code = (code << 6) | (byte & 0x3f);
  }
  const tooShort = code < (length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000);
  return tooShort || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff ? -1 : code;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
