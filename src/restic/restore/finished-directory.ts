import { EngineError } from '../errors.ts';
import { byteString, textOf, type ByteString } from '../format/index.ts';
import { errnoCodeOf } from '../fs/index.ts';
import { assertSpace, type BatchContext } from './batch-context.ts';
import { metadataWarning } from './finish-file.ts';
import type { Metadata } from './messages.ts';
import { applyMetadata, isAlreadySet } from './metadata.ts';

/** A directory in which nothing is made any more: it gets its metadata. */
export interface FinishedDirectory {
  readonly path: ByteString;
  readonly location: ByteString;
  readonly metadata: Metadata;
}

/** @param directories - the deepest first: all that is in one was done before */
export function finishDirectories(context: BatchContext, directories: readonly FinishedDirectory[]): void {
  const { target, tally } = context;
  for (const { path, location, metadata } of directories) {
    try {
      const place = { at: target.beneath.directory(path), name: byteString('.') };
      const problems = metadata.mayHaveOtherXattrs && isAlreadySet(target.libc, place, metadata) ? [] : applyMetadata(target.libc, { ...place, descriptor: place.at }, metadata);
      if (problems.length > 0) tally.warn(metadataWarning(textOf(location), problems));
    } catch (error) {
      missed(context, location, error);
    }
  }
}

/** An entry that could not be restored: the others go on, unless the disk is full. @throws {EngineError} `NoSpace`; what is no failed system call */
export function missed(context: BatchContext, location: ByteString, error: unknown): void {
  const code = errnoCodeOf(error);
  if (code === undefined || error instanceof EngineError) throw error;
  const shown = textOf(location);
  assertSpace(context.directory, shown, code);
  context.tally.missed({ path: shown, kind: 'unwritable', message: `${shown} could not be restored (${code}); the rest was` });
}
