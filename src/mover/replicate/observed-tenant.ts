import { StorageError, type ObjectInfo } from '../../storage/index.ts';
import { doubted, newcomers, openAnnouncements, proveCopies } from './doubts.ts';
import { decodeLedger, newestLedger, type Ledger, type StoredLedger } from './ledger.ts';
import type { TenantListing } from './tenant-listings.ts';
import { tenantKeyOf } from './tenant-keys.ts';
import { remembered, replicaState, replicatedObjects, type Remembered, type ReplicaState, type Unsound } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

/** What is known of one tenant before anything is decided. */
export interface ObservedTenant {
  readonly listing: TenantListing;
  /** What is replicated of the source, listed so that whatever a listed object refers to is listed too. */
  readonly source: readonly ObjectInfo[];
  readonly name: StoredLedger | undefined;
  readonly ledger: Ledger | undefined;
  readonly state: ReplicaState;
  readonly memory: Remembered;
  /** Versions of the replica that do not count. */
  readonly unsound: Unsound;
  /** Copies that the service made and nobody could compare yet. */
  readonly unproven: readonly string[];
  /** Found in the replica, put there by none of our runs, and not what they should be. */
  readonly planted: readonly string[];
}

export async function observeTenant(work: ReplicationWork, listing: TenantListing): Promise<ObservedTenant> {
  const { tenant, there } = listing;
  const name = newestLedger(there);
  const ledger = name === undefined ? undefined : await readLedger(work, tenant, name);
  const known: Unsound = new Map(ledger?.unsound?.map((entry) => [entry.name, entry.versions]));
  const listed = replicaState(there, known);
  const said = name !== undefined && ledger === undefined ? 'unreadable' : ledger;
  const doubts = new Set(await doubted(work, tenant, openAnnouncements(there, name), said, listed));
  const unknown = newcomers(said, listed).filter((key) => !doubts.has(key));
  const proven = await proveCopies(work, tenant, [...doubts, ...unknown], listed);
  // What the service was asked for and did badly is nobody's deed.
  const planted = unknown.filter((key) => proven.unsound.has(key)).sort();
  const unsound: Unsound = new Map([...known, ...[...proven.unsound].map(([key, versions]): [string, readonly string[]] => [key, [...(known.get(key) ?? []), ...versions]])]);
  const state = replicaState(there, unsound);
  const source = await settled(work, tenant, replicatedObjects(listing.here), state);
  return { listing, source, name, ledger, state, memory: remembered(ledger, name?.storedAt ?? 0, state, work.lock), unsound, unproven: proven.unproven, planted };
}

/**
 * A listing comes in order of keys: packs before the index files and snapshots that refer to them. Where any of those is new, index and packs are listed
 * once more, so that whatever a listed object refers to is listed too.
 */
async function settled({ source, signal }: ReplicationWork, tenant: string, listed: readonly ObjectInfo[], { objects }: ReplicaState): Promise<ObjectInfo[]> {
  const referring = new Set(['index', 'snapshots', 'manifests']);
  const generations = new Set<number>();
  for (const { key } of listed) {
    const known = tenantKeyOf(key);
    if (known?.generation !== undefined && referring.has(known.part) && !objects.has(key)) generations.add(known.generation);
  }
  const found = new Map(listed.map((object) => [object.key, object]));
  for (const generation of generations) {
    for (const folder of ['exports', 'index', 'data']) {
      for await (const object of source.within(tenant).list(`g${generation}/${folder}/`, { signal })) {
        if (tenantKeyOf(object.key) !== undefined) found.set(object.key, object);
      }
    }
  }
  return [...found.values()];
}

/** As it was put first; one that is none is not believed. */
async function readLedger({ replica, signal }: ReplicationWork, tenant: string, { key, versionId }: StoredLedger): Promise<Ledger | undefined> {
  try {
    return decodeLedger(await replica.versions.get(`${tenant}/${key}`, versionId, { signal }), tenant);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NotFound') return undefined;
    throw error;
  }
}
