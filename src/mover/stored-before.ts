import * as z from 'zod';
import { MoverResult, resultKey, type BackupOrders } from '../api/index.ts';
import type { Repository, SnapshotSummary } from '../restic/contract.ts';
import { StorageError } from '../storage/index.ts';
import { readManifest } from './manifest-store.ts';
import type { MoverWork, TaskOutcome } from './mover-work.ts';

/** The parts of restic's `summary` that a result tells; absent in snapshots of other writers. */
const Summary = z
  .object({
    files_new: z.int().min(0),
    files_changed: z.int().min(0),
    files_unmodified: z.int().min(0),
    dirs_new: z.int().min(0),
    dirs_changed: z.int().min(0),
    dirs_unmodified: z.int().min(0),
    total_bytes_processed: z.int().min(0),
    data_added_packed: z.int().min(0),
  })
  .partial();

/**
 * What an earlier attempt of the same Backup stored in `snapshot`, when it got as far as the manifest: from the result that it left
 * in the bucket, else from manifest and snapshot. `undefined` when it did not.
 */
export async function earlierOutcome(work: MoverWork<BackupOrders>, repository: Repository, snapshot: SnapshotSummary): Promise<TaskOutcome | undefined> {
  const mac = (json: Uint8Array): Uint8Array => work.engine.manifestMac(repository, json);
  const manifest = await readManifest(repository.store, snapshot.id, { mac, signal: work.signal });
  if (manifest === undefined) return undefined;
  const left = await earlierResult(work, snapshot.id);
  if (left !== undefined) return left;
  const summary = Summary.catch({}).parse(snapshot.summary ?? {});
  const backup = {
    snapshotId: snapshot.id,
    complete: manifest.complete,
    files: (summary.files_new ?? 0) + (summary.files_changed ?? 0) + (summary.files_unmodified ?? 0),
    directories: (summary.dirs_new ?? 0) + (summary.dirs_changed ?? 0) + (summary.dirs_unmodified ?? 0),
    filesUnchanged: summary.files_unmodified ?? 0,
    bytesProcessed: summary.total_bytes_processed ?? 0,
    bytesAdded: summary.data_added_packed ?? 0,
  };
  return { backup, warnings: [], warningCount: 0 };
}

async function earlierResult({ orders, tenantStore, signal }: MoverWork<BackupOrders>, snapshotId: string): Promise<TaskOutcome | undefined> {
  for (let attempt = orders.attempt.number - 1; attempt >= 1; attempt -= 1) {
    const result = await readResult(() => tenantStore.get(resultKey(orders.tenant.generation, orders.attempt.uid, attempt), { signal }));
    if (result?.outcome === 'succeeded' && result.backup?.snapshotId === snapshotId) {
      const { backup, warnings, warningCount } = result;
      return { backup, warnings, warningCount };
    }
  }
  return undefined;
}

async function readResult(get: () => Promise<Uint8Array>): Promise<MoverResult | undefined> {
  try {
    return MoverResult.safeParse(JSON.parse(new TextDecoder().decode(await get()))).data;
  } catch (error) {
    if ((error instanceof StorageError && error.code === 'NotFound') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
