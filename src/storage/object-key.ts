import { StorageError } from './errors.ts';

const MAX_KEY_BYTES = 1024;
const SURROGATE = /[\ud800-\udfff]/;

/**
 * Refuses a key that could not mean the same in every store: empty, absolute, with an empty, `.` or `..` segment, a NUL
 * or a backslash, or longer than S3 allows (1,024 bytes). A `..` must never lead out of a directory store.
 */
export function assertKey(key: string): void {
  const bad =
    key.length === 0 ||
    key.includes('\0') ||
    key.includes('\\') ||
    Buffer.byteLength(key) > MAX_KEY_BYTES ||
    key.split('/').some((segment) => segment === '' || segment === '.' || segment === '..');
  if (bad) {
    throw new StorageError('InvalidKey', `"${printable(key)}" is no object key; use names joined by single slashes, without "." and ".."`, {
      retryable: false,
    });
  }
}

/** Byte order of the keys' UTF-8, as S3 lists them. UTF-16 order differs only where surrogates are involved. */
export function compareKeys(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** `prefix` with exactly one trailing slash; the empty prefix stays empty. */
export function asFolder(prefix: string): string {
  const trimmed = prefix.replace(/\/+$/, '');
  if (trimmed === '') return '';
  assertKey(trimmed);
  return `${trimmed}/`;
}

function printable(text: string): string {
  return text.slice(0, 200).replace(/[\u0000-\u001f\u007f]/g, '?');
}
