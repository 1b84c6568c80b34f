import { ListObjectsV2Command, ListObjectVersionsCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createS3Client } from '../../src/storage/s3/client.ts';
import { listObjects, listObjectVersions } from '../../src/storage/s3/listings.ts';
import { readPlainListing } from '../../src/storage/s3/plain-listing.ts';
import { startStub, type StubServer } from '../support/stub-server.ts';

const RUNS = 200;
const input = { Bucket: 'bucket' };

/** As services write text: what must be escaped is, in one of the ways there are. */
const texts = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), fc.constantFrom('named', 'decimal', 'hex'))
  .map(([text, way]) => text.replace(/[&<>"'\r]/gu, (sign) => escaped(sign, way)));

function escaped(sign: string, way: string): string {
  const code = sign.charCodeAt(0);
  const name = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": 'apos' }[sign];
  if (way === 'named' && name !== undefined) return `&${name};`;
  return way === 'hex' ? `&#x${code.toString(16).toUpperCase()};` : `&#${code};`;
}

const times = fc.integer({ min: 0, max: 4e9 }).chain((seconds) => fc.constantFrom(0, 7, 120).map((ms) => new Date(seconds * 1000 + ms).toISOString()));
const etags = fc.constantFrom('"d41d8cd98f00b204e9800998ecf8427e"', '&#34;abc-2&#34;');
const objects = fc.record({ key: texts, size: fc.nat(), time: times, etag: etags, version: fc.option(fc.uuid()), isLatest: fc.boolean() });
type Listed = typeof objects extends fc.Arbitrary<infer T> ? T : never;

const fieldsOf = ({ key, size, time, etag }: Listed): string =>
  `<Key>${key}</Key><LastModified>${time}</LastModified><ETag>${etag}</ETag><Size>${size}</Size><Owner><ID>o</ID><DisplayName/></Owner><StorageClass>STANDARD</StorageClass>`;
const contents = (object: Listed): string => `<Contents>${fieldsOf(object)}</Contents>`;
const versions = (object: Listed): string => {
  const version = `<IsLatest>${object.isLatest}</IsLatest>${object.version === null ? '' : `<VersionId>${object.version}</VersionId>`}`;
  return object.size % 3 === 0 ? `<DeleteMarker><Key>${object.key}</Key><LastModified>${object.time}</LastModified>${version}</DeleteMarker>` : `<Version>${fieldsOf(object)}${version}</Version>`;
};
const page = (root: string, inside: string): string => `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>${inside}</${root}>\n`;

/** What is asked for of a page. */
const Seen = ['Contents', 'Versions', 'DeleteMarkers', 'IsTruncated', 'NextContinuationToken', 'NextKeyMarker', 'NextVersionIdMarker'] as const;
function seen(of: object): unknown {
  const all = of as Readonly<Record<string, unknown>>;
  const entry = ({ Key, Size, LastModified, ETag, VersionId, IsLatest }: Record<string, unknown>): unknown => ({ Key, Size, LastModified, ETag, VersionId, IsLatest });
  return Object.fromEntries(
    Seen.flatMap((name) => {
      const value = all[name] ?? (name === 'IsTruncated' ? false : undefined);
      if (Array.isArray(value)) return value.length === 0 ? [] : [[name, value.map(entry)]];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

describe('a page of a listing', () => {
  let stub: StubServer;
  let client: S3Client;
  let answer = '';
  beforeAll(async () => {
    stub = await startStub((_, response) => response.writeHead(200).end(answer));
    ({ client } = createS3Client({ endpoint: stub.endpoint, region: 'eu', credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, pathStyle: true }));
  });
  afterAll(async () => {
    client.destroy();
    await stub.stop();
  });

  const both = async (): Promise<readonly [PromiseSettledResult<unknown>, PromiseSettledResult<unknown>]> =>
    Promise.allSettled([listObjects(client, input, undefined).then(seen), client.send(new ListObjectsV2Command(input)).then(seen)]);

  it('says of objects what the SDK reads in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(objects, { maxLength: 8 }), fc.option(texts), async (listed, token) => {
        answer = page('ListBucketResult', `<IsTruncated>${token !== null}</IsTruncated>${listed.map(contents).join('')}${token === null ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`}`);
        expect(readPlainListing(answer, 'ListBucketResult')?.entries).toHaveLength(listed.length);
        const [ours, theirs] = await both();
        expect(ours).toEqual(theirs);
      }),
      { numRuns: RUNS },
    );
  });

  it('says of versions and delete markers what the SDK reads in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(objects, { maxLength: 8 }), fc.option(fc.tuple(texts, texts)), async (listed, marker) => {
        const next = marker === null ? '' : `<NextKeyMarker>${marker[0]}</NextKeyMarker><NextVersionIdMarker>${marker[1]}</NextVersionIdMarker>`;
        answer = page('ListVersionsResult', `<IsTruncated>${marker !== null}</IsTruncated>${next}${listed.map(versions).join('')}`);
        expect(readPlainListing(answer, 'ListVersionsResult')?.entries).toHaveLength(listed.length);
        expect(seen(await listObjectVersions(client, input, undefined))).toEqual(seen(await client.send(new ListObjectVersionsCommand(input))));
      }),
      { numRuns: RUNS },
    );
  });

  const one = '<Contents><Key>a</Key><Size>1</Size></Contents>';
  it.each([
    ['a comment', page('ListBucketResult', `<!-- all -->${one}`)],
    ['unread text', page('ListBucketResult', '<Contents><Key><![CDATA[a<b]]></Key><Size>1</Size></Contents>')],
    ['a line end that is not as it seems', page('ListBucketResult', '<Contents><Key>a\r\nb</Key><Size>1</Size></Contents>')],
    ['an entity of its own', page('ListBucketResult', '<Contents><Key>&auml;</Key><Size>1</Size></Contents>')],
    ['a size that is none', page('ListBucketResult', '<Contents><Key>a</Key><Size>many</Size></Contents>')],
    ['a time that is none', page('ListBucketResult', '<Contents><Key>a</Key><LastModified>soon</LastModified></Contents>')],
    ['two roots', page('ListBucketResult', one) + page('ListBucketResult', one)],
    ['no end', page('ListBucketResult', one).slice(0, -30)],
    ['ends in the wrong order', page('ListBucketResult', '<Contents><Key>a</Contents></Key>')],
    ['no XML', 'everything is fine'],
  ])('with %s is left to the SDK', async (_, text) => {
    answer = text;
    const [ours, theirs] = await both();
    expect(ours.status).toBe(theirs.status);
    if (ours.status === 'fulfilled' && theirs.status === 'fulfilled') expect(ours.value).toEqual(theirs.value);
  });

  it.each([
    ['another root', page('SomethingElse', one)],
    ['nothing', ''],
  ])('with %s is none, though the SDK reads it as one in which nothing is listed', async (_, text) => {
    answer = text;
    const [ours, theirs] = await both();
    expect([ours.status, theirs.status]).toEqual(['rejected', 'fulfilled']);
  });

  it('is read or left, and never anything else, whatever it is', () => {
    const parts = fc.constantFrom('<', '>', '/', '</', '/>', '&amp;', '&', '&#1;', '<Contents>', '</Contents>', '<Key>', '</Key>', '<ListBucketResult>', '</ListBucketResult>', '<?xml ?>', ' ', 'a', '<!--');
    fc.assert(fc.property(fc.array(parts, { maxLength: 30 }), (some) => void readPlainListing(some.join(''), 'ListBucketResult')), { numRuns: 20_000 });
  });
});
