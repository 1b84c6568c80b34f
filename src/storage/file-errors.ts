import { StorageError, type StorageErrorCode } from './errors.ts';
import { alreadyExists, notFound } from './object-body.ts';

/** True for a system error with one of these errno names. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = errnoOf(error);
  return code !== undefined && codes.includes(code);
}

export function errnoOf(error: unknown): string | undefined {
  // By shape, not by class: errors of the runtime may come from another realm.
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const TABLE: Readonly<Record<string, { code: StorageErrorCode; advice: string; retryable?: true }>> = {
  EACCES: { code: 'AccessDenied', advice: 'this user may not do that; check owner and mode of the directory' },
  EPERM: { code: 'AccessDenied', advice: 'the system does not allow it; check owner and attributes' },
  EBUSY: { code: 'Unavailable', advice: 'somebody else is writing it; it is tried again', retryable: true },
  EROFS: { code: 'AccessDenied', advice: 'the file system is mounted read-only; mount it for writing, or use another place' },
  ENOSPC: { code: 'NoSpace', advice: 'no space is left on the device; free some or use a larger one' },
  EDQUOT: { code: 'NoSpace', advice: 'the disk quota is used up; free some space or raise it' },
  EMFILE: { code: 'Unavailable', advice: 'too many files are open; raise the limit (ulimit -n)', retryable: true },
  ENFILE: { code: 'Unavailable', advice: 'the system has too many files open', retryable: true },
  EIO: { code: 'Unavailable', advice: 'the device reports an input/output error; check the disk' },
  ESTALE: { code: 'Unavailable', advice: 'the network file system has lost the file; try again', retryable: true },
  ENOENT: { code: 'Unexpected', advice: 'a folder of the path is not there and cannot be made; check the path, and whether somebody removes it meanwhile' },
  ELOOP: { code: 'Unexpected', advice: 'symbolic links in the path lead in a circle; correct them' },
  EFBIG: { code: 'NoSpace', advice: 'the file is larger than this file system or the limit of the process (ulimit -f) allows; use another place, or raise the limit' },
  ENOTDIR: { code: 'Unexpected', advice: 'a part of the path is a file where a directory is needed' },
  EISDIR: { code: 'Unexpected', advice: 'a directory lies where an object is expected' },
  ENAMETOOLONG: { code: 'InvalidKey', advice: 'the name is too long for this file system' },
};

/** Turns a failed system call on an object into a StorageError in words; a StorageError passes through. */
export function fileError(error: unknown, doing: string, key: string, location: string): StorageError {
  if (error instanceof StorageError) return error;
  const errno = errnoOf(error) ?? 'unknown error';
  if (doing === 'reading' && ['ENOENT', 'ENOTDIR', 'EISDIR', 'ENXIO'].includes(errno)) return notFound(key, location, error);
  if (errno === 'EEXIST') return alreadyExists(key, location, error);
  const known = TABLE[errno];
  const advice = known?.advice ?? (error instanceof Error ? error.message : String(error));
  return new StorageError(known?.code ?? 'Unexpected', `${doing} ${key} in ${location} failed (${errno}): ${advice}`, {
    retryable: known?.retryable ?? false,
    context: { key, location, errno },
    cause: error,
  });
}
