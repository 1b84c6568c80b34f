import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import type { ListOptions, ObjectInfo } from './object-store.ts';
import { isErrno } from './file-errors.ts';
import { throwIfAborted } from './object-body.ts';
import { assertKey, compareKeys } from './object-key.ts';

/** Unfinished objects; never listed. */
export const TEMPORARY_PREFIX = '.tmp-';
/** Sizes that are asked for at a time. */
const STAT_BATCH = 64;

/** Files below `root` whose path starts with `prefix`, in byte order of keys, as S3 would list them. Symlinks are no objects. */
export async function* listDirectory(root: string, prefix: string, options: ListOptions): AsyncIterable<ObjectInfo> {
  const slash = prefix.lastIndexOf('/');
  const folder = prefix.slice(0, slash + 1);
  if (folder !== '') assertKey(folder.slice(0, -1));
  yield* walk(root, folder, prefix, options);
}

interface Entry {
  readonly key: string;
  readonly isFolder: boolean;
}

async function* walk(root: string, folder: string, prefix: string, options: ListOptions): AsyncIterable<ObjectInfo> {
  throwIfAborted(options.signal, `listing ${prefix}`);
  const entries = toEntries(folder, await readFolder(`${root}/${folder}`)).filter((entry) => mayMatch(entry, prefix, options));
  for (let at = 0; at < entries.length; at += STAT_BATCH) {
    const batch = entries.slice(at, at + STAT_BATCH);
    const sizes = await Promise.all(batch.map(({ key, isFolder }) => (isFolder ? Promise.resolve(undefined) : sizeOrGone(`${root}/${key}`))));
    for (const [index, { key, isFolder }] of batch.entries()) {
      const size = sizes[index];
      if (isFolder) yield* walk(root, key, prefix, options);
      else if (size !== undefined) yield { key, size };
    }
  }
}

/** Folders carry their slash into the comparison: `a-b` sorts before `a/b`, because `-` is less than `/`. */
function toEntries(folder: string, found: readonly Dirent[]): Entry[] {
  return found
    .filter((entry) => (entry.isDirectory() || entry.isFile()) && !entry.name.startsWith(TEMPORARY_PREFIX))
    .map((entry) => ({ key: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`, isFolder: entry.isDirectory() }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

function mayMatch({ key, isFolder }: Entry, prefix: string, { startAfter }: ListOptions): boolean {
  const fits = key.startsWith(prefix) || (isFolder && prefix.startsWith(key));
  if (!fits || startAfter === undefined) return fits;
  return compareKeys(key, startAfter) > 0 || (isFolder && startAfter.startsWith(key));
}

async function readFolder(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    // A folder that is not there holds no objects: S3 has no folders either.
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function sizeOrGone(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
