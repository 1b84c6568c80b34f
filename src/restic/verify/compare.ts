import { createHash, hash } from 'node:crypto';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileComparison, Repository } from '../contract.ts';
import { parseTime, permissionsOf, sealOverhead, type BlobLocation, type Id, type Node } from '../format/index.ts';
import { errnoCodeOf } from '../fs/index.ts';
import { openedOf, resolveSnapshot, type TableIndex } from '../repository/index.ts';
import { SnapshotTrees } from '../restore/index.ts';

const readBytes = 1024 * 1024;
const modeBits = 0o7777n;

/**
 * Compares restored files with a snapshot's trees: content by the hash of each stretch, read from the disk here, size, permissions and time.
 * @param request.target - where the snapshot's root was restored to
 */
export async function compareFiles(
  repository: Repository,
  request: { readonly snapshot: string; readonly target: string; readonly paths: readonly string[]; readonly signal?: AbortSignal | undefined },
): Promise<FileComparison> {
  const opened = openedOf(repository);
  const snapshot = await resolveSnapshot(opened, request.snapshot);
  const index = await opened.loadIndex({ signal: request.signal });
  const trees = new SnapshotTrees(opened, index, request.signal);
  const differences: { path: string; message: string }[] = [];
  let bytes = 0;
  try {
    for (const path of request.paths) {
      request.signal?.throwIfAborted();
      const [node] = (await trees.locate(snapshot, path)).nodes;
      const message = node === undefined ? 'the snapshot has no such file' : await differenceOf(join(request.target, path), node, index);
      if (message !== undefined) differences.push({ path, message });
      bytes += node?.size ?? 0;
    }
  } finally {
    trees.free();
  }
  return { files: request.paths.length, bytes, differences };
}

async function differenceOf(file: string, node: Node, index: TableIndex): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    const { mode, mtimeNs, size } = await lstat(file, { bigint: true });
    if (size !== BigInt(node.size ?? 0)) return `it has ${size} bytes instead of ${node.size ?? 0}`;
    if ((mode & modeBits) !== BigInt(permissionsOf(node.mode))) return `its mode is ${(mode & modeBits).toString(8)} instead of ${permissionsOf(node.mode).toString(8)}`;
    const time = parseTime(node.mtime);
    if (time !== undefined && mtimeNs !== BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds)) return `its time is not ${node.mtime}`;
    handle = await open(file, 'r');
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === undefined) throw error;
    return `it cannot be read (${code})`;
  }
  try {
    return await contentDifference(handle, node.content ?? [], index);
  } finally {
    await handle.close();
  }
}

async function contentDifference(handle: FileHandle, ids: readonly Id[], index: TableIndex): Promise<string | undefined> {
  let position = 0;
  for (const id of ids) {
    const place = index.lookup('data', id);
    if (place === undefined) return `its data from byte ${position} on (blob ${id}) are in no index file`;
    const length = plaintextLength(place);
    if ((await hashOf(handle, position, length)) !== id) return `its content from byte ${position} on is not that of the backup`;
    position += length;
  }
  return undefined;
}

async function hashOf(handle: FileHandle, position: number, length: number): Promise<string> {
  const buffer = new Uint8Array(Math.min(length, readBytes));
  if (length <= readBytes) return hash('sha256', buffer.subarray(0, (await handle.read(buffer, 0, length, position)).bytesRead), 'hex');
  const digest = createHash('sha256');
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(readBytes, length - done), position + done);
    if (bytesRead === 0) break;
    digest.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return digest.digest('hex');
}

function plaintextLength({ length, uncompressedLength }: BlobLocation): number {
  return uncompressedLength === 0 ? length - sealOverhead : uncompressedLength;
}
