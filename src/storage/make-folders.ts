import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from './file-errors.ts';

/**
 * As `mkdir -p`. Node's own tries for ever, and busily, where a file system says that a parent is missing which is there (`/proc/x`).
 * @returns the topmost directory that was made; `undefined` when all were there
 * @throws the error of the system call that failed
 */
export function makeFolders(path: string, mode = 0o700): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    if (isErrno(error, 'ENOENT') && dirname(path) !== path) {
      const first = makeFolders(dirname(path), mode);
      mkdirSync(path, { mode });
      return first ?? path;
    }
    if (isErrno(error, 'EEXIST', 'EROFS', 'EACCES', 'EPERM') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
    throw error;
  }
}
