import { readdir, stat, unlink } from 'node:fs/promises';
import { TEMPORARY_PREFIX } from './file-listing.ts';
import { isErrno } from './file-errors.ts';

/** What `FileStore` calls a file that it writes; others' files that begin alike are none of our business. */
const temporaryName = new RegExp(`^\\${TEMPORARY_PREFIX}[A-Za-z0-9_-]{12}$`);

/** Removes files below `folder` that a killed writer left, were they last written before that time. */
export async function removeUnfinishedFiles(folder: string, before: Date, signal: AbortSignal | undefined): Promise<void> {
  for (const entry of await entriesOf(folder)) {
    signal?.throwIfAborted();
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) await removeUnfinishedFiles(path, before, signal);
    else if (entry.isFile() && temporaryName.test(entry.name)) await removeIfOlder(path, before);
  }
}

async function entriesOf(folder: string): ReturnType<typeof readDirectory> {
  try {
    return await readDirectory(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

function readDirectory(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

/** Another run may tidy at the same time, or the writer may have finished after all. */
async function removeIfOlder(path: string, before: Date): Promise<void> {
  try {
    if ((await stat(path)).mtime < before) await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
