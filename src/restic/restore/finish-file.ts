import { textOf } from '../format/index.ts';
import { splitPath } from '../fs/index.ts';
import { failFile, type BatchContext } from './batch-context.ts';
import type { FileState } from './file-state.ts';
import { applyMetadata, isAlreadySet } from './metadata.ts';

/** Files that are written in parts must be there, with their size, before the first. */
export function openFile(context: BatchContext, file: FileState): void {
  if (file.isOpen || file.isFailed) return;
  try {
    context.openFiles.add(file);
    if (!file.isExisting) context.target.makeFile(file.path, file.size);
    else if (file.existingSize !== file.size) context.target.setSize(file.path, file.size);
    if (file.existingSize !== file.size) file.isChanged = true;
    file.isOpen = true;
  } catch (error) {
    failFile(context, file, error);
  }
}

/** All content is there: sets owner, mode, times and attributes, and counts the file. */
export function finishFile(context: BatchContext, file: FileState): void {
  const { target, tally } = context;
  const shown = textOf(file.location);
  if (file.blobCount > 0 && file.damagedRanges.length === file.blobCount) {
    file.isFailed = true;
    tally.missed({ path: shown, kind: 'damaged', message: `${shown} is damaged in the repository and was not restored` });
    return;
  }
  if (!file.isExisting || file.existingSize !== file.size) openFile(context, file);
  if (file.isFailed) return;
  context.openFiles.delete(file);
  file.isFinished = true;
  if (file.isExisting && !file.isChanged) tally.identical++;
  try {
    const { directory, name } = splitPath(file.path);
    const place = { at: target.beneath.directory(directory), name };
    const problems = file.isExisting && !file.isChanged && isAlreadySet(target.libc, place, file.metadata) ? [] : applyMetadata(target.libc, place, file.metadata);
    if (problems.length > 0) tally.warn(metadataWarning(shown, problems));
  } catch (error) {
    failFile(context, file, error);
    return;
  }
  if (file.damagedRanges.length > 0) {
    const ranges = file.damagedRanges.slice(0, 10).join(', ');
    tally.missed({ path: shown, kind: 'damaged', message: `${shown} is damaged in the repository: bytes ${ranges} could not be restored; the rest of it is there` });
  }
  tally.fileDone(file.size, shown);
}

export function metadataWarning(path: string, problems: readonly string[]): { path: string; kind: string; message: string } {
  return { path, kind: 'metadata', message: `${path} was restored, but this could not be set: ${problems.join(', ')}` };
}
