import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openStore, parseStoreUrl, StorageError, tenantSessionPolicy } from '../../src/storage/index.ts';

describe('a repository URL', () => {
  it.each([
    ['file:///srv/backup', { kind: 'file', path: '/srv/backup' }],
    ['file:///srv/backup/', { kind: 'file', path: '/srv/backup' }],
    ['file:///with%20space/%C3%BC', { kind: 'file', path: '/with space/ü' }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '', pathStyle: false }],
    ['s3://bucket/', { kind: 's3', bucket: 'bucket', prefix: '', pathStyle: false }],
    ['s3://my.bucket-1/a/b?region=eu-central-1', { kind: 's3', bucket: 'my.bucket-1', prefix: 'a/b/', region: 'eu-central-1', pathStyle: false }],
    ['s3://bucket/a%20b?endpoint=https://s3.example.com:9000', { kind: 's3', bucket: 'bucket', prefix: 'a b/', endpoint: 'https://s3.example.com:9000', pathStyle: true }],
    ['s3://bucket?endpoint=http://[::1]:9000/&path-style=false', { kind: 's3', bucket: 'bucket', prefix: '', endpoint: 'http://[::1]:9000', pathStyle: false }],
  ])('%s is understood', (url, address) => {
    expect(parseStoreUrl(url)).toEqual(address);
  });

  it.each([
    ['', 'no URL'],
    ['/srv/backup', 'no URL'],
    ['ftp://host/x', 'not a kind of store'],
    ['file://host/x', 'three slashes'],
    ['file://', 'names no directory'],
    ['file:///', 'names no directory'],
    ['file:////', 'names no directory'],
    ['file:///x?y=1', 'no parameters'],
    ['file:///x%00y', 'NUL'],
    ['file:///x#y', '%23'],
    ['s3://ab/x', 'no bucket name'],
    ['s3://UPPER/x', 'no bucket name'],
    ['s3://a..b/x', 'no bucket name'],
    ['s3://192.168.0.1/x', 'no bucket name'],
    ['s3://bucket/a//b', 'prefix'],
    ['s3://bucket/a/%2e%2e/b%00', 'prefix'],
    ['s3://bucket/%zz', 'prefix'],
    ['s3://bucket?endpoint=ftp://x', 'endpoint'],
    ['s3://bucket?endpoint=https://x/path', 'endpoint'],
    ['s3://bucket?endpoint=https://user:pw@x', 'endpoint'],
    ['s3://bucket?regoin=eu', '"regoin" is not known'],
    ['s3://bucket?region=eu&region=us', 'given twice'],
    ['s3://bucket?region=e%20u', 'no region'],
    ['s3://bucket?path-style=yes', 'true or false'],
  ])('%s is refused, saying: %s', (url, words) => {
    expect(() => parseStoreUrl(url)).toThrow(words);
    expect(() => parseStoreUrl(url)).toThrow(expect.objectContaining({ code: 'InvalidUrl', retryable: false }));
  });

  it('with credentials in it is refused without repeating them', async () => {
    await expect(openStore('s3://AKIA:topsecret@bucket/x')).rejects.toThrow('must not hold credentials');
    await expect(openStore('s3://AKIA:topsecret@bucket/x')).rejects.not.toThrow('topsecret');
  });

  it('is refused with a StorageError and nothing else, whatever it is', () => {
    const pieces = fc.array(fc.constantFrom('s3://', 'file:///', 'bucket', '?', '&', 'endpoint=', 'https://x', 'region=', '%', '..', '/', '//', '\0', 'ü', '#', '@', ':'), { maxLength: 10 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), pieces.map((parts) => parts.join(''))), (url) => {
        try {
          const address = parseStoreUrl(url);
          if (address.kind === 's3') expect(address.prefix).not.toMatch(/(^|\/)\.\.?(\/|$)|\/\/|\0/);
        } catch (error) {
          if (!(error instanceof StorageError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a session policy', () => {
  it.each(['*', `${'a'.repeat(31)}*`, '', 'A'.repeat(32), `${'a'.repeat(32)}/../x`])('is not made for "%s"', (tenant) => {
    expect(() => tenantSessionPolicy('bucket', 'prefix', tenant)).toThrow(TypeError);
  });

  it.each([['bu*ket', 'prefix'], ['bucket', 'pre?ix'], ['bucket', '${aws:username}']])('is not made for wildcards in %s/%s', (bucket, prefix) => {
    expect(() => tenantSessionPolicy(bucket, prefix, 'a'.repeat(32))).toThrow('wildcards');
  });

  it('names the tenant\'s prefix and nothing above it', () => {
    expect(tenantSessionPolicy('b-1', '', 'a'.repeat(32)).Statement.flatMap(({ Resource }) => Resource)).toEqual([
      `arn:aws:s3:::b-1/tenants/${'a'.repeat(32)}/*`,
      'arn:aws:s3:::b-1',
      `arn:aws:s3:::b-1/tenants/${'a'.repeat(32)}/audit/*`,
      `arn:aws:s3:::b-1/tenants/${'a'.repeat(32)}/tenant/*`,
    ]);
  });
});
