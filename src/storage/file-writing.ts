import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from './file-errors.ts';
import { makeFolders } from './make-folders.ts';

/** Objects from here on are written past the page cache when they have to be on the disk anyway: that saves a copy, and the wait for its writeback. */
const directFrom = 1024 * 1024;
/** The unit of such writes: what every file system and disk in use takes. */
const directUnit = 4096;

/**
 * Makes a file for its owner alone, and its directory where that is missing; a `durable` directory is on the disk then.
 * @param made - gets the directories that were made
 */
export async function createFile(path: string, durable: boolean, made: Set<string>): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    await makeFolder(dirname(path), durable, made);
    return await open(path, 'wx', 0o600);
  }
}

/** A folder that a power cut takes away takes what lies in it along, however well that was synced. */
async function makeFolder(path: string, durable: boolean, made: Set<string>): Promise<void> {
  const first = makeFolders(path);
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) {
    made.add(folder);
    if (durable) await syncDirectory(dirname(folder));
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } catch (error) {
    // Network shares and FUSE that cannot do that for directories: they keep names by their own rules.
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
  } finally {
    await directory.close();
  }
}

/** Writes the whole of an object into its new file and waits until it is on the disk. */
export async function writeDurably(file: FileHandle, path: string, parts: readonly Uint8Array[]): Promise<void> {
  const [first] = parts;
  const done = parts.length === 1 && first !== undefined && first.byteLength >= directFrom ? await writeDirectly(path, first) : 0;
  await writeAll(file, skipBytes(parts, done), done);
  await file.datasync();
}

/** Writes `parts` at `position`. */
export async function writeAll(file: FileHandle, parts: readonly Uint8Array[], position = 0): Promise<void> {
  let at = position;
  let rest = parts.filter((part) => part.byteLength > 0);
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at);
    rest = skipBytes(rest, bytesWritten);
    at += bytesWritten;
  }
}

/**
 * Writes whole units of `bytes`, as far as the file system takes them so: it may have no `O_DIRECT` (tmpfs, some network file systems), or
 * the bytes may not lie on a boundary in memory. What could not be written shows in an ordinary write of the same bytes, if it is an error.
 * @returns bytes written
 */
async function writeDirectly(path: string, bytes: Uint8Array): Promise<number> {
  const whole = bytes.byteLength - (bytes.byteLength % directUnit);
  let done = 0;
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_DIRECT);
    try {
      while (done < whole) {
        const { bytesWritten } = await file.write(bytes, done, whole - done, done);
        const units = bytesWritten - (bytesWritten % directUnit);
        if (units === 0) break;
        done += units;
      }
    } finally {
      await file.close();
    }
  } catch {
    return done;
  }
  return done;
}

/** What remains of `parts` after the first `count` bytes: a write may take fewer than it was offered. */
function skipBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const part of parts) {
    if (skip < part.byteLength) rest.push(part.subarray(skip));
    skip = Math.max(0, skip - part.byteLength);
  }
  return rest;
}
