import type { ByteString } from '../format/index.ts';

/**
 * Whether a name from a tree may become a file's name. The tree may be forged: a name with a slash, or `..`, would lead out of the directory,
 * a NUL would cut it short.
 */
export function isSafeName(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}
