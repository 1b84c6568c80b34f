import { DeleteObjectCommand, GetObjectRetentionCommand, PutObjectRetentionCommand, type S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../errors.ts';
import { compareKeys } from '../object-key.ts';
import { describeFailure } from '../network-failures.ts';
import type { CallOptions, GetOptions, ListOptions, Retention } from '../object-store.ts';
import type { CopiedVersion, CopySource, ObjectVersion, ObjectVersions, VersionedObject } from '../object-versions.ts';
import type { ServiceClock } from '../service-clock.ts';
import { copyObject, sha256Of, type CopyTarget } from './copying.ts';
import { listObjectVersions, notOnward, type VersionsPage } from './listings.ts';
import type { ObjectCalls } from './object-calls.ts';
import { openObject, readWhole } from './reading.ts';
import { sendOptions } from './send-options.ts';

/** What the versions of a bucket need of its store. */
export interface VersionedBucket {
  readonly client: S3Client;
  readonly calls: ObjectCalls;
  readonly bucket: string;
  readonly prefix: string;
  readonly location: string;
  /** Turns a failure into words; `Aborted` before the request where the signal is set. */
  readonly call: <T>(doing: string, key: string, options: CallOptions, request: () => Promise<T>) => Promise<T>;
  readonly path: (key: string) => string;
  readonly clock: Pick<ServiceClock, 'now'>;
}

/** A bucket's versions by S3's own requests. Failures are not tried again here. */
export class S3Versions implements ObjectVersions {
  readonly #at: VersionedBucket;

  constructor(at: VersionedBucket) {
    this.#at = at;
  }

  serviceTime(): number | undefined {
    return this.#at.clock.now();
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<VersionedObject> {
    const { bucket, prefix: root } = this.#at;
    const after = options.startAfter === undefined ? undefined : root + options.startAfter;
    let marker: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } | undefined =
      after === undefined ? {} : { KeyMarker: after };
    // A page may end in the middle of a name's versions.
    let open: Gathered | undefined;
    while (marker !== undefined) {
      const input = { Bucket: bucket, Prefix: root + prefix, ...marker };
      const page = await this.#at.call('listing', prefix, options, () => listObjectVersions(this.#at.client, input, options.signal));
      for (const gathered of gather(page)) {
        // Some services begin with the marker itself where S3 begins after it.
        if (after !== undefined && compareKeys(gathered.key, after) <= 0) continue;
        if (open !== undefined && compareKeys(gathered.key, open.key) < 0) throw notOnward(prefix, this.#at.location);
        if (open !== undefined && open.key !== gathered.key) yield toVersioned(open, root);
        open = open?.key === gathered.key ? joined(open, gathered) : gathered;
      }
      const next = this.#next(page, prefix);
      if (next !== undefined && next.KeyMarker === marker.KeyMarker && next.VersionIdMarker === marker.VersionIdMarker) throw notOnward(prefix, this.#at.location);
      marker = next;
    }
    if (open !== undefined) yield toVersioned(open, root);
  }

  get(key: string, versionId: string, options: GetOptions = {}): Promise<Uint8Array> {
    const { client, calls, bucket } = this.#at;
    const address = { client, calls, bucket, path: this.#at.path(key), key, versionId };
    return this.#at.call('reading', key, options, async () => readWhole(key, await openObject(address, options)));
  }

  async extend(key: string, versionId: string | undefined, retention: Retention, options: CallOptions = {}): Promise<void> {
    const command = new PutObjectRetentionCommand({ ...this.#name(key, versionId), Retention: { Mode: retention.mode, RetainUntilDate: retention.until } });
    await this.#at.call('extending the lock of', key, options, () => this.#at.client.send(command, sendOptions(options.signal)));
  }

  async retentionOf(key: string, versionId: string | undefined, options: CallOptions = {}): Promise<Retention | undefined> {
    const command = new GetObjectRetentionCommand(this.#name(key, versionId));
    return this.#at.call('looking up the lock of', key, options, async () => {
      try {
        const { Retention } = await this.#at.client.send(command, sendOptions(options.signal));
        if (Retention?.Mode === undefined || Retention.RetainUntilDate === undefined) return undefined;
        return { mode: Retention.Mode, until: Retention.RetainUntilDate };
      } catch (error) {
        if (describeFailure(error).name === 'NoSuchObjectLockConfiguration') return undefined;
        throw error;
      }
    });
  }

  async remove(key: string, versionId: string, options: CallOptions = {}): Promise<void> {
    await this.#at.call('removing a version of', key, options, async () => {
      try {
        await this.#at.client.send(new DeleteObjectCommand(this.#name(key, versionId)), sendOptions(options.signal));
      } catch (error) {
        const { name } = describeFailure(error);
        if (name !== 'NoSuchKey' && name !== 'NoSuchVersion') throw error;
      }
    });
  }

  copyFrom(source: CopySource, key: string, retention: Retention, options: CallOptions = {}): Promise<CopiedVersion> {
    return this.#at.call('copying', key, options, () => copyObject(this.#target(key), source, retention, options));
  }

  sha256Of(key: string, versionId: string, options: CallOptions = {}): Promise<string | undefined> {
    return this.#at.call('looking up the hash of', key, options, () => sha256Of(this.#target(key), versionId, options));
  }

  #target(key: string): CopyTarget {
    return { client: this.#at.client, bucket: this.#at.bucket, path: this.#at.path(key) };
  }

  #name(key: string, versionId: string | undefined): { Bucket: string; Key: string; VersionId?: string } {
    return { Bucket: this.#at.bucket, Key: this.#at.path(key), ...(versionId === undefined ? {} : { VersionId: versionId }) };
  }

  #next(page: VersionsPage, prefix: string): { readonly KeyMarker: string; readonly VersionIdMarker?: string } | undefined {
    if (page.IsTruncated !== true) return undefined;
    if (page.NextKeyMarker === undefined) {
      throw new StorageError('Unexpected', `listing ${prefix} in ${this.#at.location}: the service says there is more but not where`, { retryable: true });
    }
    return { KeyMarker: page.NextKeyMarker, ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }) };
  }
}

/** Newest first, as S3 lists versions. */
interface Gathered {
  readonly key: string;
  readonly versions: readonly ObjectVersion[];
  readonly markers: readonly string[];
  readonly isHidden: boolean;
}

/** A page's versions and markers, which come as two lists, by name in byte order. */
function gather(page: VersionsPage): Gathered[] {
  const byKey = new Map<string, { key: string; versions: ObjectVersion[]; markers: string[]; isHidden: boolean }>();
  const of = (key: string): { versions: ObjectVersion[]; markers: string[]; isHidden: boolean } => {
    const found = byKey.get(key) ?? { key, versions: [], markers: [], isHidden: false };
    byKey.set(key, found);
    return found;
  };
  for (const { Key, VersionId, Size, LastModified } of page.Versions ?? []) {
    if (Key !== undefined) of(Key).versions.push({ versionId: VersionId ?? 'null', size: Size ?? 0, modifiedAt: LastModified });
  }
  for (const { Key, VersionId, IsLatest } of page.DeleteMarkers ?? []) {
    if (Key === undefined) continue;
    const found = of(Key);
    found.markers.push(VersionId ?? 'null');
    if (IsLatest === true) found.isHidden = true;
  }
  const all = [...byKey.values()];
  return page.DeleteMarkers === undefined || page.DeleteMarkers.length === 0 ? all : all.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

function joined(before: Gathered, after: Gathered): Gathered {
  return {
    key: before.key,
    versions: [...before.versions, ...after.versions],
    markers: [...before.markers, ...after.markers],
    isHidden: before.isHidden || after.isHidden,
  };
}

function toVersioned({ key, versions, markers, isHidden }: Gathered, root: string): VersionedObject {
  return { key: key.slice(root.length), versions: versions.toReversed(), markers, isHidden };
}
