import * as z from 'zod';
import { SnapshotId, type BackupLocationSpec } from '../../api/index.ts';
import { PortError } from '../../controller/index.ts';
import { firstSoundVersion, StorageError, type ObjectStore, type ObjectVersion } from '../../storage/index.ts';
import { openLocationStore, type SecretSource } from './location-access.ts';

/** What is read here of a manifest. Nobody without the key can check its seal; whoever restores does. */
const ManifestOutline = z.object({ snapshot: SnapshotId, createdAt: z.iso.datetime(), complete: z.boolean() });
const MANIFEST = /^[0-9a-f]{64}\/([1-9][0-9]{0,8})\.json$/;
const REVISION = /^([1-9][0-9]{0,8})\.json$/;
/** What follows `/` in byte order: a listing goes on behind everything of a tenant. */
const AFTER_SLASH = '0';
/** What the service tells no time of is nobody's oldest. */
const NEVER = Number.MAX_SAFE_INTEGER;

interface Found {
  readonly key: string;
  /** Of what bytes are read as, the first that is something: of versions the oldest, for what was put on top counts last. */
  readonly firstSound: <T>(judge: (bytes: Uint8Array) => T | undefined) => Promise<T | undefined>;
  readonly versions: readonly FoundVersion[];
}

export interface FoundVersion {
  readonly key: string;
  /** When it was stored, by the service's clock, milliseconds since the epoch. */
  readonly at: number;
  readonly read: () => Promise<Uint8Array>;
  /** Whether it is, or was, under a lock of its own. @throws {StorageError} */
  readonly wasLocked: () => Promise<boolean>;
}

/** A revision of a tenant's record. */
export interface Revision extends Found {
  readonly rev: number;
}

/** Reads what a bucket says of tenants, past delete markers and newer versions put on top. */
export class BucketReader {
  readonly #store: ObjectStore;

  private constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** @throws {PortError} */
  static async with<T>(spec: BackupLocationSpec, secrets: SecretSource, work: (reader: BucketReader) => Promise<T>): Promise<T> {
    const store = await openLocationStore(spec, secrets);
    try {
      return await work(new BucketReader(store));
    } catch (error) {
      if (error instanceof StorageError) throw new PortError(error.code, error.message, { retryable: error.retryable, cause: error });
      throw error;
    } finally {
      await store.close();
    }
  }

  /** One request a tenant: what lies below each is skipped. */
  async tenants(signal: AbortSignal): Promise<readonly string[]> {
    const found: string[] = [];
    for (let after: string | undefined; ; ) {
      const id = await this.#firstTenant(after, signal);
      if (id === undefined) return found;
      if (/^[0-9a-f]{32}$/.test(id)) found.push(id);
      after = `tenants/${id}${AFTER_SLASH}`;
    }
  }

  /** Of a tenant's record, the highest first. */
  async revisions(tenantId: string, signal: AbortSignal): Promise<readonly Revision[]> {
    const prefix = `tenants/${tenantId}/tenant/`;
    const revisions: Revision[] = [];
    for await (const found of this.#list(prefix, signal)) {
      const rev = REVISION.exec(found.key.slice(prefix.length))?.[1];
      if (rev !== undefined) revisions.push({ ...found, rev: Number(rev) });
    }
    return revisions.sort((a, b) => b.rev - a.rev);
  }

  /**
   * Snapshots that have a manifest. Of those that are known only that they are there is asked.
   * @param generations - at least so many are looked at
   */
  async snapshots(tenantId: string, generations: number, known: ReadonlySet<string>, signal: AbortSignal) {
    const snapshots: { snapshotId: string; keyGeneration: number; createdAt: string; complete: boolean }[] = [];
    for (let keyGeneration = 1; ; keyGeneration++) {
      const newest = await this.#newestManifests(`tenants/${tenantId}/g${keyGeneration}/manifests/`, signal);
      if (newest.size === 0 && keyGeneration >= generations) return snapshots;
      for (const [snapshotId, found] of newest) {
        const outline = known.has(snapshotId) ? { createdAt: '', complete: true } : await found.firstSound((bytes) => ManifestOutline.safeParse(parseJson(bytes)).data);
        if (outline !== undefined) snapshots.push({ snapshotId, keyGeneration, createdAt: outline.createdAt, complete: outline.complete });
      }
    }
  }

  async #newestManifests(prefix: string, signal: AbortSignal): Promise<ReadonlyMap<string, Found>> {
    const newest = new Map<string, { readonly rev: number; readonly found: Found }>();
    for await (const found of this.#list(prefix, signal)) {
      const name = found.key.slice(prefix.length);
      const rev = Number(MANIFEST.exec(name)?.[1] ?? 0);
      const snapshotId = name.slice(0, 64);
      if (rev > (newest.get(snapshotId)?.rev ?? 0)) newest.set(snapshotId, { rev, found });
    }
    return new Map([...newest].map(([snapshotId, { found }]) => [snapshotId, found]));
  }

  async #firstTenant(after: string | undefined, signal: AbortSignal): Promise<string | undefined> {
    const options = { signal, ...(after === undefined ? {} : { startAfter: after }) };
    for await (const { key } of this.#store.versions?.list('tenants/', options) ?? this.#store.list('tenants/', options)) return key.split('/')[1];
    return undefined;
  }

  async *#list(prefix: string, signal: AbortSignal): AsyncGenerator<Found> {
    const store = this.#store;
    const { versions } = store;
    if (versions === undefined) {
      for await (const { key, modifiedAt } of store.list(prefix, { signal })) {
        const read = () => store.get(key, { signal });
        yield { key, firstSound: async (judge) => judge(await read()), versions: [{ key, at: modifiedAt?.getTime() ?? NEVER, read, wasLocked: () => Promise.resolve(false) }] };
      }
      return;
    }
    for await (const { key, versions: all } of versions.list(prefix, { signal })) {
      if (all.length === 0) continue;
      const read = ({ versionId }: ObjectVersion) => versions.get(key, versionId, { signal });
      yield {
        key,
        firstSound: async (judge) => (await firstSoundVersion(all, read, judge))?.value,
        versions: all.map((version) => ({
          key,
          at: version.modifiedAt?.getTime() ?? NEVER,
          read: () => read(version),
          wasLocked: async () => (await versions.retentionOf(key, version.versionId, { signal })) !== undefined,
        })),
      };
    }
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
