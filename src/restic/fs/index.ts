/**
 * The file system as Linux has it: walking and reading a source without following a link out of it, and the calls that
 * restoring needs. Everything goes through `libc.ts`. Stands on `format/` alone.
 */
import { byteStringFromText } from '../format/byte-string.ts';
import type { SourceReader } from './contract.ts';
import { dataRanges } from './holes.ts';
import { openLibc } from './libc.ts';
import { AT_FDCWD } from './libc-constants.ts';
import { readOwnerNames } from './owner-names.ts';
import { Walk } from './walk.ts';

export type { EnterStep, EntryStep, FileDetails, FileStat, LeaveStep, ProblemStep, SourceReader, WalkOptions, WalkStep } from './contract.ts';
export { Beneath, joinPath, splitPath } from './beneath.ts';
export { dataRanges } from './holes.ts';
export { compileGlobs, type Globs } from './glob.ts';
export { MappedFiles, openUnnamed, type Mapping } from './mapped-file.ts';
export { errnoCodeOf, LibcError } from './libc-error.ts';
export { openLibc, type Libc } from './libc.ts';

/** Loads libc and the owners' names; make one for each backup, and one for each thread. */
export function openSourceReader(): SourceReader {
  const libc = openLibc();
  const names = readOwnerNames();
  return {
    walk: (options) => new Walk(libc, names, options).steps(),
    statDescriptor: (descriptor) => libc.stat(descriptor),
    dataRanges: (descriptor, size) => dataRanges(libc, descriptor, size),
    statPath: (path) => libc.statAt(AT_FDCWD, byteStringFromText(path)),
  };
}
