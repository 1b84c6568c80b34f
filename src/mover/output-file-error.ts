import { EngineError } from '../restic/errors.ts';

/** What kept a file from being written, in words; anything but a failed system call stays as it is. */
export function outputFileError(error: unknown, path: string): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new EngineError('NoSpace', `${path} does not fit: the disk is full (${code}). Nothing was left there; free some space, or name another disk`, { cause: error });
  return new EngineError('TargetUnwritable', `${path} cannot be written (${code}). Nothing was left there; check that its folder exists, that you may write to it, and that it is not mounted read-only`, { cause: error });
}
