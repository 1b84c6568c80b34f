import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CallOptions, GetOptions, ListOptions, ObjectBody, ObjectHead, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';
import { StorageError } from './errors.ts';
import { fileError, isErrno } from './file-errors.ts';
import { listDirectory, TEMPORARY_PREFIX } from './file-listing.ts';
import { removeUnfinishedFiles } from './unfinished-files.ts';
import { nameNewFile } from './file-naming.ts';
import { createFile, syncDirectory, writeAll, writeDurably } from './file-writing.ts';
import { bodyParts, deletionFailure, notFound, refuseRetention, resolveRange, throwIfAborted, truncated } from './object-body.ts';
import { asFolder, assertKey } from './object-key.ts';
import { PrefixedStore } from './prefixed-store.ts';

const STREAM_CHUNK = 1024 * 1024;
/** libuv's pool has four threads; a few more calls in flight keep them busy. */
const DELETE_CONCURRENCY = 16;

export interface FileStoreOptions {
  /** Wait until each object and its directory entry are on the disk (fsync). Off: a power cut may lose the newest objects. */
  readonly durable?: boolean;
}

/**
 * A directory as an object store: keys are paths, so a restic repository in it is one that restic opens. Objects appear
 * whole or not at all (written beside, then renamed or linked, see `file-naming.ts`). Files are 0600, directories 0700.
 */
export class FileStore implements ObjectStore {
  readonly location: string;
  readonly #root: string;
  readonly #durable: boolean;
  readonly #madeFolders = new Set<string>();

  /** `root`: an absolute path; made with the first object where it is missing. */
  constructor(root: string, options: FileStoreOptions = {}) {
    this.#root = root;
    this.#durable = options.durable ?? false;
    this.location = `file://${root}`;
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    const path = this.#path(key);
    throwIfAborted(options.signal, `writing ${key}`);
    refuseRetention(key, this.location, options);
    const temporary = join(dirname(path), TEMPORARY_PREFIX + randomBytes(9).toString('base64url'));
    try {
      const file = await createFile(temporary, this.#durable, this.#madeFolders);
      try {
        if (this.#durable) await writeDurably(file, temporary, bodyParts(body));
        else await writeAll(file, bodyParts(body));
      } finally {
        await file.close();
      }
      throwIfAborted(options.signal, `writing ${key}`);
      if (options.ifAbsent === true) await nameNewFile(temporary, path);
      else await rename(temporary, path);
      if (this.#durable) await syncDirectory(dirname(path));
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw fileError(error, 'writing', key, this.location);
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const file = await this.#open(key, options);
    try {
      const { offset, length } = resolveRange(key, await sizeOf(file, key, this.location), options.range);
      const bytes = Buffer.allocUnsafeSlow(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw truncated(key, length, done);
        done += bytesRead;
      }
      return bytes;
    } catch (error) {
      throw fileError(error, 'reading', key, this.location);
    } finally {
      await file.close();
    }
  }

  async *getStream(key: string, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    const file = await this.#open(key, options);
    try {
      const { offset, length } = resolveRange(key, await sizeOf(file, key, this.location), options.range);
      let done = 0;
      while (done < length) {
        throwIfAborted(options.signal, `reading ${key}`);
        const chunk = Buffer.allocUnsafeSlow(Math.min(STREAM_CHUNK, length - done));
        const { bytesRead } = await file.read(chunk, 0, chunk.byteLength, offset + done);
        if (bytesRead === 0) throw truncated(key, length, done);
        done += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    } catch (error) {
      throw fileError(error, 'reading', key, this.location);
    } finally {
      await file.close();
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    const path = this.#path(key);
    throwIfAborted(options.signal, `looking up ${key}`);
    try {
      const found = await stat(path);
      return found.isFile() ? { key, size: found.size, modifiedAt: found.mtime } : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw fileError(error, 'looking up', key, this.location);
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    try {
      yield* listDirectory(this.#root, prefix, options);
    } catch (error) {
      throw fileError(error, 'listing', prefix, this.location);
    }
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    const path = this.#path(key);
    throwIfAborted(options.signal, `deleting ${key}`);
    try {
      await unlink(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw fileError(error, 'deleting', key, this.location);
    }
  }

  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    const failures: { key: string; error: StorageError }[] = [];
    const queue = keys.values();
    const worker = async (): Promise<void> => {
      for (const key of queue) {
        await this.delete(key, options).catch((error: unknown) => {
          if (!(error instanceof StorageError) || error.code === 'Aborted') throw error;
          failures.push({ key, error });
        });
      }
    };
    await Promise.all(Array.from({ length: DELETE_CONCURRENCY }, worker));
    if (failures.length > 0) throw deletionFailure(failures, keys.length);
  }

  async removeUnfinished(prefix: string, before: Date, options: CallOptions = {}): Promise<void> {
    throwIfAborted(options.signal, `tidying ${prefix}`);
    try {
      await removeUnfinishedFiles(`${this.#root}/${asFolder(prefix)}`, before, options.signal);
    } catch (error) {
      throw fileError(error, 'tidying', prefix, this.location);
    }
  }

  async removeMadeFolders(): Promise<void> {
    // The deepest first; one that holds something, or that the system keeps, stays.
    const deepestFirst = [...this.#madeFolders].sort((one, other) => other.length - one.length);
    for (const folder of deepestFirst) await rmdir(folder).then(() => this.#madeFolders.delete(folder), () => undefined);
  }

  within(prefix: string): ObjectStore {
    return asFolder(prefix) === '' ? this : new PrefixedStore(this, prefix);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #path(key: string): string {
    assertKey(key);
    if (key.slice(key.lastIndexOf('/') + 1).startsWith(TEMPORARY_PREFIX)) {
      throw new StorageError('InvalidKey', `"${key}": names that start with ${TEMPORARY_PREFIX} are kept for unfinished objects`, {
        retryable: false,
      });
    }
    return `${this.#root}/${key}`;
  }

  async #open(key: string, options: GetOptions): Promise<FileHandle> {
    const path = this.#path(key);
    throwIfAborted(options.signal, `reading ${key}`);
    try {
      // Non-blocking, so that a FIFO lying in the directory cannot hold us up; it is refused as no object below.
      return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw fileError(error, 'reading', key, this.location);
    }
  }
}

async function sizeOf(file: FileHandle, key: string, location: string): Promise<number> {
  const info = await file.stat();
  if (!info.isFile()) throw notFound(key, location);
  return info.size;
}
