import { EngineError } from '../errors.ts';
import { textOf } from '../format/index.ts';
import { errnoCodeOf } from '../fs/index.ts';
import type { BlobIndex, OpenRepository } from '../repository/index.ts';
import type { FileState } from './file-state.ts';
import type { Tally } from './tally.ts';
import type { TargetTree } from './target-tree.ts';
import type { RestoreWorkers } from './workers.ts';

/** What all steps of one restore share. */
export interface BatchContext {
  readonly repository: OpenRepository;
  readonly index: BlobIndex;
  readonly target: TargetTree;
  readonly workers: RestoreWorkers;
  readonly tally: Tally;
  /** The target, for messages. */
  readonly directory: string;
  readonly skipDamaged: boolean;
  readonly signal: AbortSignal;
  /** Ends what is under way when something has failed. */
  readonly stop: AbortController;
  /** New files that are not finished: removed when the restore fails. */
  readonly openFiles: Set<FileState>;
  readonly nextTask: () => number;
}

/** A file that could not be written: the others go on, unless the disk is full. @throws {EngineError} `NoSpace` */
export function failFile(context: BatchContext, file: FileState, error: unknown): void {
  const code = errnoCodeOf(error);
  if (code === undefined) throw error;
  failFileWithCode(context, file, code);
}

export function failFileWithCode(context: BatchContext, file: FileState, code: string): void {
  const shown = textOf(file.location);
  assertSpace(context.directory, shown, code);
  if (file.isFailed) return;
  file.isFailed = true;
  removeUnfinished(context, file);
  context.tally.missed({ path: shown, kind: 'unwritable', message: `${shown} could not be written (${code}); the rest was restored` });
}

/** @throws {EngineError} `NoSpace` */
export function assertSpace(directory: string, path: string, code: string | undefined): void {
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return;
  const message = `There is no space left for ${path} on the volume of ${directory} (${code}). Make room or take a larger volume, then restore again: what is there already is skipped.`;
  throw new EngineError('NoSpace', message, { context: { path, target: directory } });
}

/** A new file that will not be whole is taken away again. */
export function removeUnfinished(context: BatchContext, file: FileState): void {
  if (!context.openFiles.delete(file) || file.isExisting) return;
  try {
    context.target.remove(file.path);
  } catch (error) {
    if (errnoCodeOf(error) === undefined) throw error;
  }
}
