import type { ObjectInfo, VersionedObject } from '../../storage/index.ts';
import type { Ledger } from './ledger.ts';
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

/** What the replica has, by the version that was put first. */
export interface ReplicaState {
  readonly objects: ReadonlyMap<string, { readonly size: number; readonly versionId: string }>;
  readonly tampered: readonly string[];
}

export function replicaState(listed: readonly VersionedObject[]): ReplicaState {
  const objects = new Map<string, { readonly size: number; readonly versionId: string }>();
  const tampered: string[] = [];
  for (const { key, versions, markers } of listed) {
    const [oldest, ...later] = versions;
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
}

/** Of a tenant without a ledger all that lies in the replica counts as needed, with locks that nobody knows. */
export function remembered(ledger: Ledger | undefined, state: ReplicaState): Remembered {
  if (ledger === undefined) return { needed: new Map([...state.objects.keys()].map((key) => [key, 0])), unneeded: new Map() };
  const present = (names: readonly string[], at: string): [string, number][] => names.filter((name) => state.objects.has(name)).map((name) => [name, Date.parse(at)]);
  return {
    needed: new Map(ledger.needed.flatMap(({ until, names }) => present(names, until))),
    unneeded: new Map(ledger.unneeded.flatMap(({ since, names }) => present(names, since))),
  };
}
