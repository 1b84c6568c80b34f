import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CredentialsFile } from '../../src/mover/credentials-file.ts';

describe('the mounted credentials', () => {
  let directory: string;
  let waited: string[];
  beforeEach(async () => {
    waited = [];
    directory = await mkdtemp(join(tmpdir(), 'credentials-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const give = (credentials: unknown) =>
    writeFile(join(directory, 'credentials.json'), typeof credentials === 'string' ? credentials : JSON.stringify(credentials));
  const session = (accessKeyId: string, expiration?: string) => ({ accessKeyId, secretAccessKey: 'Sup3rSecret', expiration });
  const open = (patienceMs = 10_000, now = () => Date.now()) =>
    new CredentialsFile({ directory, now, signal: new AbortController().signal, onWaiting: (message) => waited.push(message), patienceMs });

  it('are read anew each time', async () => {
    const file = open();
    await give({ version: 1, s3: session('first'), kms: {} });
    expect((await file.s3()).accessKeyId).toBe('first');

    await give({ version: 1, s3: session('second'), kms: {} });

    expect((await file.s3()).accessKeyId).toBe('second');
  });

  it('are waited for when the session has ended, until the operator renews them', async () => {
    await give({ version: 1, s3: session('old', '2020-01-01T00:00:00Z'), kms: {} });
    const asked = open().s3();
    await new Promise((resolve) => setTimeout(resolve, 50));

    await give({ version: 1, s3: session('new', '2999-01-01T00:00:00Z'), kms: {} });

    expect(await asked).toMatchObject({ accessKeyId: 'new', expiration: new Date('2999-01-01T00:00:00Z') });
    expect(waited[0]).toMatch(/ended at 2020-01-01/);
  });

  it('that nobody renews are an error that may pass', async () => {
    await give({ version: 1, s3: session('old', '2020-01-01T00:00:00Z'), kms: {} });

    await expect(open(0).s3()).rejects.toMatchObject({ code: 'CredentialsNotRenewed', retryable: true });
  });

  it('are never quoted, however broken the file is', async () => {
    for (const broken of ['{"version":1,"s3":{"secretAccessKey":"Sup3rSecret"', { version: 1, s3: { secretAccessKey: 'Sup3rSecret' } }, { version: 7 }]) {
      await give(broken);

      const failure: unknown = await open().s3().catch((error: unknown) => error);

      expect(failure).toMatchObject({ code: 'BadCredentialsFile' });
      expect(String(failure) + JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('Sup3rSecret');
    }
  });

  it('name the KMS that is missing', async () => {
    await give({ version: 1, s3: session('a'), kms: { b: { key: 'AAAA' } } });

    await expect(open().kms('a')).rejects.toThrow(/no credentials for the KMS "a"/);
    await expect(open().localKey('a')).rejects.toThrow(/no key for the local KMS "a"/);
    expect([...(await open().localKey('b'))]).toEqual([0, 0, 0]);
  });
});
