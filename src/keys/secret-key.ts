import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { KeyError } from './errors.ts';

/** Bytes of a secret key. */
export const SECRET_KEY_BYTES = 32;
const MARK = ascii('tbk1');
const ALPHABET = ascii('abcdefghijklmnopqrstuvwxyz234567');
const KEY_CHARACTERS = 52;
const CHECK_CHARACTERS = 4;
const GROUP = 4;
const HYPHEN = 0x2d;

/** A fresh random secret key. */
export function generateSecretKey(): Uint8Array {
  return randomBytes(SECRET_KEY_BYTES);
}

/**
 * The written form (`layout.md`, "Secret key"): `tbk1`, 13 groups of 4 and a checksum group, joined by `-`; byte for byte the
 * restic password. Bytes and not a string, so that the caller can wipe it.
 */
export function writeSecretKey(key: Uint8Array): Uint8Array {
  if (key.byteLength !== SECRET_KEY_BYTES) throw new RangeError(`a secret key has ${SECRET_KEY_BYTES} bytes, this has ${key.byteLength}`);
  const characters = new Uint8Array(MARK.byteLength + KEY_CHARACTERS + CHECK_CHARACTERS);
  characters.set(MARK);
  encodeBase32(key, characters.subarray(MARK.byteLength, MARK.byteLength + KEY_CHARACTERS));
  characters.set(checksumOf(key), MARK.byteLength + KEY_CHARACTERS);
  const groups = characters.byteLength / GROUP;
  const written = new Uint8Array(characters.byteLength + groups - 1).fill(HYPHEN);
  for (let group = 0; group < groups; group += 1) {
    written.set(characters.subarray(group * GROUP, (group + 1) * GROUP), group * (GROUP + 1));
  }
  characters.fill(0);
  return written;
}

/**
 * Reads a written key as people type it: any case, white space and hyphens anywhere or nowhere; `0`, `1` and `8`, which the
 * alphabet lacks, are read as the letters they look like. Returns the 32 bytes; the caller wipes them and `written`.
 * @throws {KeyError} `InvalidKey`, which never repeats what was typed.
 */
export function readSecretKey(written: Uint8Array): Uint8Array {
  const characters = significant(written);
  try {
    if (!startsWithMark(characters)) throw invalid('it does not begin with tbk1');
    const expected = MARK.byteLength + KEY_CHARACTERS + CHECK_CHARACTERS;
    if (characters.byteLength !== expected) {
      throw invalid(`it has ${characters.byteLength} letters and digits instead of ${expected}; ${characters.byteLength < expected ? 'some are missing' : 'there are too many'}`);
    }
    const body = characters.subarray(MARK.byteLength).map(asBase32);
    const key = decodeBase32(body.subarray(0, KEY_CHARACTERS));
    if (!timingSafeEqual(checksumOf(key), body.subarray(KEY_CHARACTERS))) {
      key.fill(0);
      throw invalid('its checksum does not fit; one or more characters are mistyped');
    }
    return key;
  } finally {
    characters.fill(0);
  }
}

/** True when the bytes are meant as a written key (they begin with `tbk1`, however typed), and not as some other password. */
export function looksLikeSecretKey(written: Uint8Array): boolean {
  return startsWithMark(significant(written));
}

/**
 * What a repository is opened with: a written key in its one exact form, any other password as it is. The result is a copy.
 * @throws {KeyError} `InvalidKey` for a mistyped written key.
 */
export function passwordFrom(typed: Uint8Array): Uint8Array {
  if (!looksLikeSecretKey(typed)) return Uint8Array.from(typed);
  const key = readSecretKey(typed);
  try {
    return writeSecretKey(key);
  } finally {
    key.fill(0);
  }
}

/** The first 20 bits of the key's SHA-256, as 4 characters. */
function checksumOf(key: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(key).digest();
  const characters = new Uint8Array(8);
  encodeBase32(digest.subarray(0, 5), characters);
  return characters.subarray(0, CHECK_CHARACTERS);
}

function encodeBase32(bytes: Uint8Array, into: Uint8Array): void {
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      into[at] = ALPHABET[(value >>> bits) & 31] ?? 0;
      at += 1;
    }
  }
  if (bits > 0) into[at] = ALPHABET[(value << (5 - bits)) & 31] ?? 0;
}

/** Decodes 52 characters; the last one carries a single bit, so its other four must be zero: one key has one written form. */
function decodeBase32(characters: Uint8Array): Uint8Array {
  const key = new Uint8Array(SECRET_KEY_BYTES);
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const character of characters) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) throw invalid('it holds a character that is not a letter or one of the digits 2 to 7');
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      key[at] = (value >>> bits) & 0xff;
      at += 1;
    }
  }
  if ((value & ((1 << bits) - 1)) !== 0) throw invalid('the last character before the checksum is mistyped');
  return key;
}

/** Lower-case letters, digits and whatever else, without white space and hyphens (those that word processors make, too). */
function significant(written: Uint8Array): Uint8Array {
  const kept = new Uint8Array(written.byteLength);
  let length = 0;
  for (let at = 0; at < written.byteLength; at += 1) {
    const byte = written[at] ?? 0;
    const skip = skippable(written, at);
    if (skip > 0) {
      at += skip - 1;
      continue;
    }
    kept[length] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    length += 1;
  }
  const exact = kept.slice(0, length);
  kept.fill(0);
  return exact;
}

/** How many bytes from `at` on are a separator: white space, `-`, a no-break space, or U+2010 to U+2015. */
function skippable(bytes: Uint8Array, at: number): number {
  const [one = 0, two = 0, three = 0] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  if (one === HYPHEN || one === 0x20 || (one >= 0x09 && one <= 0x0d)) return 1;
  if (one === 0xc2 && two === 0xa0) return 2;
  return one === 0xe2 && two === 0x80 && three >= 0x90 && three <= 0x95 ? 3 : 0;
}

function asBase32(character: number): number {
  switch (character) {
    case 0x30: // 0
      return 0x6f; // o
    case 0x31: // 1
      return 0x6c; // l
    case 0x38: // 8
      return 0x62; // b
    default:
      return character;
  }
}

function startsWithMark(characters: Uint8Array): boolean {
  return MARK.every((character, index) => characters[index] === character);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function invalid(reason: string): KeyError {
  return new KeyError('InvalidKey', `this is not a secret key: ${reason}; copy it again, whole, from tbk1 to the last group`);
}
