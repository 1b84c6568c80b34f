import { randomBytes } from 'node:crypto';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureGenerationKey, openAwsKms, probeKms, readWrappings, tenantContext, unwrapGenerationKey, type KmsProvider } from '../../src/keys/index.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { startKms, type KmsService } from '../support/services.ts';

const TENANT = 'a'.repeat(32);
const CONTEXT = tenantContext(TENANT, 1);

describe('the AWS KMS provider', () => {
  let service: KmsService;
  let admin: KMSClient;
  let kms: KmsProvider;

  beforeAll(async () => {
    service = await startKms();
    admin = new KMSClient({ endpoint: service.endpoint, region: service.region, credentials: service });
    kms = open(service.keyId);
  });
  afterAll(async () => {
    kms.close();
    admin.destroy();
    await service.stop();
  });

  function open(keyId: string): KmsProvider {
    const { endpoint, region, accessKeyId, secretAccessKey } = service;
    return openAwsKms({ keyId, endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  }

  async function newKey(): Promise<string> {
    const { KeyMetadata } = await admin.send(new CreateKeyCommand({}));
    return KeyMetadata?.KeyId ?? '';
  }

  it('unwraps what it wrapped under the same context', async () => {
    const key = randomBytes(32);
    const { ciphertext, keyId } = await kms.wrap(key, CONTEXT);
    expect(keyId).toMatch(/^arn:aws:kms:/);
    expect(Buffer.from(await kms.unwrap(ciphertext, CONTEXT, { keyId }))).toEqual(key);
    expect(await probeKms(kms)).toEqual({ keyId, canUnwrap: true });
  });

  it('refuses another context and a damaged ciphertext', async () => {
    const { ciphertext } = await kms.wrap(randomBytes(32), CONTEXT);
    const refused = { name: 'KeyError', code: 'WrongContext', retryable: false };
    await expect(kms.unwrap(ciphertext, tenantContext('b'.repeat(32), 1))).rejects.toMatchObject(refused);
    await expect(kms.unwrap(ciphertext, tenantContext(TENANT, 2))).rejects.toMatchObject(refused);
    const damaged = Uint8Array.from(ciphertext);
    damaged[damaged.length - 1]! ^= 1;
    await expect(kms.unwrap(damaged, CONTEXT)).rejects.toMatchObject(refused);
  });

  it('says which key is not there', async () => {
    const none = '00000000-0000-0000-0000-000000000000';
    await expect(open(none).wrap(randomBytes(32), CONTEXT)).rejects.toMatchObject({ code: 'KeyNotFound', message: expect.stringContaining(none) });
  });

  it('says that the endpoint cannot be reached', async () => {
    const nowhere = openAwsKms({ keyId: 'x', endpoint: 'http://127.0.0.1:9', region: 'eu', credentials: service });
    await expect(nowhere.wrap(randomBytes(32), CONTEXT)).rejects.toMatchObject({ code: 'Unavailable', retryable: true, message: expect.stringContaining('127.0.0.1:9') });
  });

  it('stops when told to', async () => {
    await expect(kms.wrap(randomBytes(32), CONTEXT, AbortSignal.abort())).rejects.toMatchObject({ code: 'Aborted' });
  });

  it('keeps a generation key under two keys, an alias included', async () => {
    const second = await newKey();
    await admin.send(new CreateAliasCommand({ AliasName: 'alias/second', TargetKeyId: second }));
    const store = new MemoryStore();
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [kms, open('alias/second')]);

    expect((await readWrappings(store)).every(({ wrapping }) => wrapping.provider === 'aws' && wrapping.region === service.region)).toBe(true);
    for (const keyId of [service.keyId, second, 'alias/second']) {
      expect(await unwrapGenerationKey(store, TENANT, 1, [open(keyId)])).toEqual(secretKey);
    }
    await expect(unwrapGenerationKey(store, TENANT, 1, [open(await newKey())])).rejects.toMatchObject({ code: 'NoWrapping' });
  });
});
