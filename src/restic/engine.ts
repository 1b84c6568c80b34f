import { createHmac } from 'node:crypto';
import type { Repository, SnapshotSummary } from './contract.ts';
import { findParent as findParentIn, listSnapshots as listSnapshotsOf, openedOf, resolveSnapshot as resolveSnapshotOf } from './repository/index.ts';

/** Oldest first. */
export function listSnapshots(repository: Repository, signal?: AbortSignal): Promise<SnapshotSummary[]> {
  return listSnapshotsOf(openedOf(repository), signal);
}

/** The newest snapshot that carries each of `tags`, for `paths` alike; the caller rules out incomplete ones by id. */
export function findParent(
  repository: Repository,
  match: { readonly tags: readonly string[]; readonly paths: readonly string[]; readonly not?: ReadonlySet<string> },
): Promise<string | undefined> {
  return findParentIn(openedOf(repository), match);
}

/** @throws {EngineError} `NoSuchSnapshot`, `AmbiguousSnapshot` */
export function resolveSnapshot(repository: Repository, idOrLatest: string): Promise<SnapshotSummary> {
  return resolveSnapshotOf(openedOf(repository), idOrLatest);
}

/** MACs the canonical JSON of a manifest (`layout.md`); the key never leaves this function. */
export function manifestMac(repository: Repository, canonicalJson: Uint8Array): Uint8Array {
  const key = openedOf(repository).key.derive('tenant-backup manifest 1', 32);
  try {
    return new Uint8Array(createHmac('sha256', key).update(canonicalJson).digest());
  } finally {
    key.fill(0);
  }
}
