import dns from 'node:dns';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openStore } from '../../src/storage/index.ts';
import { describeObjectStore } from '../contract/object-store-suite.ts';
import { startS3, type S3Service } from '../support/services.ts';

const lookup = dns.lookup;
const asked = new Set<string>();
let service: S3Service;

beforeAll(async () => {
  service = await startS3({ domain: 'localhost' });
  // Not every resolver knows the names below localhost (RFC 6761), and a test may not change the machine's.
  const resolver = (host: string, ...rest: unknown[]): void => {
    asked.add(host);
    Reflect.apply(lookup, dns, [host.endsWith('.localhost') ? '127.0.0.1' : host, ...rest]);
  };
  Object.assign(dns, { lookup: resolver });
});
afterAll(async () => {
  Object.assign(dns, { lookup });
  await service.stop();
});

describeObjectStore('S3, the bucket in the host name', async () => {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = service;
  const byName = endpoint.replace('127.0.0.1', 'localhost');
  const store = await openStore(`s3://${bucket}/virtual?endpoint=${byName}&region=${region}&path-style=false`, { s3: { credentials: { accessKeyId, secretAccessKey } } });
  return { store, dispose: () => Promise.resolve() };
});

it('asks for the bucket by its host name', () => {
  expect([...asked]).toContain(`${service.bucket}.localhost`);
});
