import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
  type ListObjectVersionsCommandInput,
  type ListObjectVersionsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { DeserializeMiddleware } from '@smithy/types';
import { readPlainListing, type PlainEntry, type PlainListing } from './plain-listing.ts';
import { sendOptions } from './send-options.ts';

export type ObjectsPage = Pick<ListObjectsV2CommandOutput, 'Contents' | 'IsTruncated' | 'NextContinuationToken'>;
export type VersionsPage = Pick<ListObjectVersionsCommandOutput, 'Versions' | 'DeleteMarkers' | 'IsTruncated' | 'NextKeyMarker' | 'NextVersionIdMarker'>;

/** A page of `ListObjectsV2`. */
export async function listObjects(client: S3Client, input: ListObjectsV2CommandInput, signal: AbortSignal | undefined): Promise<ObjectsPage> {
  const command = new ListObjectsV2Command(input);
  const plain = new PlainAnswer('ListBucketResult', toObjectsPage);
  command.middlewareStack.add(plain.reader(), AT_ANSWER);
  const page = await client.send(command, sendOptions(signal));
  return plain.page ?? page;
}

/** A page of `ListObjectVersions`. */
export async function listObjectVersions(client: S3Client, input: ListObjectVersionsCommandInput, signal: AbortSignal | undefined): Promise<VersionsPage> {
  const command = new ListObjectVersionsCommand(input);
  const plain = new PlainAnswer('ListVersionsResult', toVersionsPage);
  command.middlewareStack.add(plain.reader(), AT_ANSWER);
  const page = await client.send(command, sendOptions(signal));
  return plain.page ?? page;
}

/** Between the SDK's reading of an answer and the answer. */
const AT_ANSWER = { step: 'deserialize', priority: 'low', name: 'plainAnswer' } as const;

/** Reads an answer before the SDK does, where it is as plain as listings mostly are; the SDK then gets an empty one to read, and everything else as it came. */
class PlainAnswer<Page> {
  page: Page | undefined;
  readonly #root: string;
  readonly #toPage: (listing: PlainListing) => Page | undefined;

  constructor(root: string, toPage: (listing: PlainListing) => Page | undefined) {
    this.#root = root;
    this.#toPage = toPage;
  }

  reader<Input extends object, Output extends object>(): DeserializeMiddleware<Input, Output> {
    return (next) => async (args) => {
      const result = await next(args);
      const { response } = result;
      if (!isReadable(response) || response.statusCode !== 200) return result;
      const said = await text(response.body);
      const listing = readPlainListing(said, this.#root);
      this.page = listing === undefined ? undefined : this.#toPage(listing);
      const left = this.page === undefined ? said : `<${this.#root}></${this.#root}>`;
      return { ...result, response: Object.assign(response, { body: Readable.from([Buffer.from(left)]) }) };
    };
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

function isReadable(response: unknown): response is { readonly statusCode: number; readonly body: Readable } {
  return typeof response === 'object' && response !== null && 'body' in response && response.body instanceof Readable && 'statusCode' in response;
}
