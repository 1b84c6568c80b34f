import type { ReplicationLock } from '../../api/index.ts';
import type { ObjectInfo, ObjectVersion, VersionedObject } from '../../storage/index.ts';
import type { Ledger } from './ledger.ts';
import { lockedUntil } from './lock-terms.ts';
import { tagsOf } from './source-tags.ts';
import { tenantKeyOf } from './tenant-keys.ts';

/** What is replicated of a listing of the source: of several revisions of a manifest the highest, for it stands. */
export function replicatedObjects(listed: readonly ObjectInfo[]): ObjectInfo[] {
  const highest = new Map<string, number>();
  const slot = (generation: number | undefined, snapshot: string | undefined): string => `${generation ?? 0}/${snapshot ?? ''}`;
  for (const { key } of listed) {
    const known = tenantKeyOf(key);
    if (known?.part !== 'manifests') continue;
    const at = slot(known.generation, known.snapshot);
    highest.set(at, Math.max(highest.get(at) ?? 0, known.number ?? 0));
  }
  return listed.filter(({ key }) => {
    const known = tenantKeyOf(key);
    if (known === undefined) return false;
    return known.part !== 'manifests' || known.number === highest.get(slot(known.generation, known.snapshot));
  });
}

/** Versions that are not what their name says, by name. */
export type Unsound = ReadonlyMap<string, readonly string[]>;
const NOTHING_UNSOUND: Unsound = new Map();

/** What the replica has, by the version that was put first. */
export interface ReplicaState {
  readonly objects: ReadonlyMap<string, ObjectVersion>;
  readonly tampered: readonly string[];
}

/** @param unsound - versions that do not count, by name */
export function replicaState(listed: readonly VersionedObject[], unsound: Unsound = NOTHING_UNSOUND): ReplicaState {
  const objects = new Map<string, ObjectVersion>();
  const tampered: string[] = [];
  for (const { key, versions, markers } of listed) {
    const bad = unsound.get(key);
    const [oldest, ...later] = bad === undefined ? versions : versions.filter(({ versionId }) => !bad.includes(versionId));
    if (tenantKeyOf(key) === undefined || oldest === undefined) continue;
    objects.set(key, oldest);
    // Two that found it missing at the same time put the same bytes.
    if (markers.length > 0 || later.some(({ size }) => size !== oldest.size)) tampered.push(key);
  }
  return { objects, tampered };
}

/** When a replica's objects are free, and since when nothing needs which, milliseconds since the epoch. */
export interface Remembered {
  readonly needed: ReadonlyMap<string, number>;
  readonly unneeded: ReadonlyMap<string, number>;
  /** The lock that each got when it was put. */
  readonly put: ReadonlyMap<string, number>;
  /** How the source's listing marked the content of each. */
  readonly tags: ReadonlyMap<string, string>;
}

/**
 * What is known of each object of the replica. What no ledger names was put by a run that was killed before it wrote one, under a lock from that moment on; of a
 * tenant without a ledger that is all, and all of it counts as needed. Nothing was locked for longer than from when the ledger was stored.
 * @param storedAt - when the ledger was, milliseconds since the epoch
 */
export function remembered(ledger: Ledger | undefined, storedAt: number, state: ReplicaState, lock: ReplicationLock): Remembered {
  const asPut = (key: string, { modifiedAt }: ObjectVersion): number => (modifiedAt === undefined ? 0 : lockedUntil(key, lock, modifiedAt).getTime());
  const put = new Map([...state.objects].map(([key, version]) => [key, asPut(key, version)] as const));
  if (ledger === undefined) return { needed: put, unneeded: new Map(), put, tags: new Map() };
  const present = (names: readonly string[], at: string): [string, number][] => names.filter((name) => state.objects.has(name)).map((name) => [name, Date.parse(at)]);
  return {
    put,
    tags: new Map(ledger.needed.flatMap(tagsOf)),
    needed: new Map(ledger.needed.flatMap(({ until, names }) => present(names, until)).map(([key, until]) => [key, Math.min(until, lockedUntil(key, lock, new Date(storedAt)).getTime())])),
    unneeded: new Map(ledger.unneeded.flatMap(({ since, names }) => present(names, since))),
  };
}
