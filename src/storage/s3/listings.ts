import {
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  type ListObjectVersionsCommandInput,
  type ListObjectVersionsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { StorageError } from '../errors.ts';
import { readPlainListing, type PlainEntry, type PlainListing } from './plain-listing.ts';
import { sendOptions } from './send-options.ts';
import { assertWhole, AT_ANSWER, readingFirst } from './strangers.ts';

export type ObjectsPage = Pick<ListObjectsV2CommandOutput, 'Contents' | 'IsTruncated' | 'NextContinuationToken'>;
export type VersionsPage = Pick<ListObjectVersionsCommandOutput, 'Versions' | 'DeleteMarkers' | 'IsTruncated' | 'NextKeyMarker' | 'NextVersionIdMarker'>;

/** A page of `ListObjectsV2`. */
export async function listObjects(client: S3Client, input: ListObjectsV2CommandInput, signal: AbortSignal | undefined): Promise<ObjectsPage> {
  const command = new ListObjectsV2Command(input);
  const plain = new PlainAnswer(['ListBucketResult'], toObjectsPage);
  command.middlewareStack.add(readingFirst((said) => plain.read(said)), AT_ANSWER);
  const page = await client.send(command, sendOptions(signal));
  return plain.page ?? page;
}

/** A page of `ListObjectVersions`. */
export async function listObjectVersions(client: S3Client, input: ListObjectVersionsCommandInput, signal: AbortSignal | undefined): Promise<VersionsPage> {
  const command = new ListObjectVersionsCommand(input);
  const plain = new PlainAnswer(['ListVersionsResult', 'ListBucketResult'], toVersionsPage);
  command.middlewareStack.add(readingFirst((said) => plain.read(said)), AT_ANSWER);
  const page = await client.send(command, sendOptions(signal));
  return plain.page ?? page;
}

/** Reads an answer before the SDK does, where it is as plain as listings mostly are; the SDK then gets an empty one to read, and everything else as it came. */
class PlainAnswer<Page> {
  page: Page | undefined;
  /** The name of the answer, and others that services have for it. */
  readonly #roots: readonly [string, ...string[]];
  readonly #toPage: (listing: PlainListing) => Page | undefined;

  constructor(roots: readonly [string, ...string[]], toPage: (listing: PlainListing) => Page | undefined) {
    this.#roots = roots;
    this.#toPage = toPage;
  }

  read(said: string): string {
    const [root] = this.#roots;
    const listing = readPlainListing(said, root);
    this.page = listing === undefined ? undefined : this.#toPage(listing);
    if (this.page !== undefined) return `<${root}></${root}>`;
    assertWhole(said, this.#roots);
    return said;
  }
}

function toObjectsPage({ fields, entries }: PlainListing): ObjectsPage | undefined {
  const found = entries.filter(({ name }) => name === 'Contents').map(toObject);
  if (!found.every(isWhole)) return undefined;
  const token = fields.get('NextContinuationToken');
  return { Contents: found, IsTruncated: fields.get('IsTruncated') === 'true', ...(token === undefined ? {} : { NextContinuationToken: token }) };
}

function toVersionsPage({ fields, entries }: PlainListing): VersionsPage | undefined {
  const [versions, markers] = ['Version', 'DeleteMarker'].map((due) => entries.filter(({ name }) => name === due).map((entry) => ({ ...toObject(entry), ...toVersion(entry) })));
  if (!versions?.every(isWhole) || !markers?.every(isWhole)) return undefined;
  const [key, version] = [fields.get('NextKeyMarker'), fields.get('NextVersionIdMarker')];
  return {
    Versions: versions,
    DeleteMarkers: markers,
    IsTruncated: fields.get('IsTruncated') === 'true',
    ...(key === undefined ? {} : { NextKeyMarker: key }),
    ...(version === undefined ? {} : { NextVersionIdMarker: version }),
  };
}

interface ListedObject {
  readonly Key?: string;
  readonly Size?: number;
  readonly LastModified?: Date;
  readonly ETag?: string;
}

function toObject({ fields }: PlainEntry): ListedObject {
  const [key, size, modified, etag] = [fields.get('Key'), fields.get('Size'), fields.get('LastModified'), fields.get('ETag')];
  return {
    ...(key === undefined ? {} : { Key: key }),
    ...(size === undefined ? {} : { Size: Number(size) }),
    ...(modified === undefined ? {} : { LastModified: new Date(modified) }),
    ...(etag === undefined ? {} : { ETag: etag }),
  };
}

function toVersion({ fields }: PlainEntry): { readonly VersionId?: string; readonly IsLatest: boolean } {
  const id = fields.get('VersionId');
  return { ...(id === undefined ? {} : { VersionId: id }), IsLatest: fields.get('IsLatest') === 'true' };
}

/** What is not a number or a time is for the SDK to judge. */
function isWhole({ Size = 0, LastModified }: ListedObject): boolean {
  return Number.isSafeInteger(Size) && !Number.isNaN(LastModified?.getTime());
}

/** A page that begins with what came already: whoever asks for what follows the last name gets on. */
export function notOnward(prefix: string, location: string): StorageError {
  return new StorageError('Unexpected', `listing ${prefix} in ${location}: the service does not go on from where it was, but tells what came before; it is asked for what follows`, { retryable: true });
}

/** Of a service that has no order nobody can ask for what follows: some of it would be missing without a word. */
export function notInOrder(prefix: string, location: string): StorageError {
  return new StorageError('Unexpected', `listing ${prefix} in ${location}: the service does not list by name, as S3 does (AWS's directory buckets do not); use a bucket that does`, { retryable: false });
}
