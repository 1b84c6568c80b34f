import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  encodeWrapping,
  ensureGenerationKey,
  KeyError,
  probeKms,
  readWrappings,
  rewrapGenerationKey,
  unwrapGenerationKey,
  unwrapRepositoryKey,
  wrappingKey,
  type KmsProvider,
} from '../../src/keys/index.ts';
import { MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { randomLocalKms } from '../support/fake-kms.ts';

const TENANT = '0123456789abcdef0123456789abcdef';
const OTHER = 'f'.repeat(32);

describe('the key of a generation', () => {
  let store: ObjectStore;
  let kms: KmsProvider;
  let replica: KmsProvider;

  beforeEach(async () => {
    store = new MemoryStore();
    kms = await randomLocalKms();
    replica = await randomLocalKms();
  });

  it('is made once, wrapped by every provider, and found again through any of them', async () => {
    const made = await ensureGenerationKey(store, TENANT, 1, [kms, replica]);
    const again = await ensureGenerationKey(store, TENANT, 1, [kms, replica]);

    expect(made.created).toBe(true);
    expect(again).toEqual({ created: false, secretKey: made.secretKey });
    expect(new TextDecoder().decode(made.secretKey)).toMatch(/^tbk1(-[a-z2-7]{4}){14}$/);
    for (const provider of [kms, replica]) expect(await unwrapGenerationKey(store, TENANT, 1, [provider])).toEqual(made.secretKey);
    const wrappings = await readWrappings(store);
    expect(wrappings.map(({ wrapping }) => wrapping.keyId).sort()).toEqual([kms.keyId, replica.keyId].sort());
    expect(wrappings[0]!.wrapping).toMatchObject({
      version: 1,
      tenant: TENANT,
      generation: 1,
      context: { 'tenant-backup/tenant': TENANT, 'tenant-backup/generation': '1' },
    });
  });

  it('is the same for all of many movers that come at once, and only the winner leaves wrappings', async () => {
    const results = await Promise.all(Array.from({ length: 12 }, () => ensureGenerationKey(store, TENANT, 1, [kms, replica])));

    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(results.map(({ secretKey }) => Buffer.from(secretKey).toString())).size).toBe(1);
    expect(await readWrappings(store)).toHaveLength(2);
  });

  it('is never made where a repository stands without one', async () => {
    await store.put('config', Buffer.from('a repository'));
    await expect(ensureGenerationKey(store, TENANT, 1, [kms])).rejects.toMatchObject({ code: 'NoWrapping', message: expect.stringContaining('--secret-key-file') });
    expect(await readWrappings(store)).toEqual([]);
  });

  it.each(['keys/', 'snapshots/', 'index/', 'data/00/', 'manifests/', 'exports/'])('is never made where a repository has lost its config, and something lies in %s', async (folder) => {
    await store.put(`${folder}${'0'.repeat(64)}`, Buffer.from('left'));
    await expect(ensureGenerationKey(store, TENANT, 1, [kms])).rejects.toMatchObject({ code: 'NoWrapping', message: expect.stringContaining('from another copy') });
    expect(await readWrappings(store)).toEqual([]);
  });

  it('is found in a recovered bucket, which has wrappings but no marker', async () => {
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [kms]);
    await store.put('config', Buffer.from('a repository'));
    await store.delete('wrappings/first.json');
    expect(await ensureGenerationKey(store, TENANT, 1, [kms])).toEqual({ secretKey, created: false });
  });

  it('is that of the marker even when a crashed rival left its wrapping behind', async () => {
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [kms]);
    const rival = new MemoryStore();
    await ensureGenerationKey(rival, TENANT, 1, [kms]);
    const [stray] = await readWrappings(rival);
    await store.put(wrappingKey(stray!.name), await rival.get(wrappingKey(stray!.name)));
    expect(await unwrapGenerationKey(store, TENANT, 1, [kms])).toEqual(secretKey);
  });

  it('leaves nothing behind when one of the KMS refuses', async () => {
    const refusing = { ...replica, wrap: () => Promise.reject(new KeyError('KeyDisabled', 'the key is disabled')) };
    await expect(ensureGenerationKey(store, TENANT, 1, [kms, refusing])).rejects.toMatchObject({ code: 'KeyDisabled' });
    expect(await readWrappings(store)).toEqual([]);
  });

  it.each<[string, (kms: KmsProvider) => Partial<KmsProvider>, string]>([
    ['another key than was wrapped', () => ({ unwrap: () => Promise.resolve(new Uint8Array(32)) }), 'Damaged'],
    ['one of another length', () => ({ unwrap: () => Promise.resolve(new Uint8Array(31)) }), 'Damaged'],
    ['nothing, for it wrapped under another context', (sound) => ({ wrap: (key) => sound.wrap(key, { 'tenant-backup/tenant': OTHER, 'tenant-backup/generation': '1' }) }), 'WrongContext'],
  ])('is not used, nor wrapped once more, where a KMS gives back %s', async (_, lie, code) => {
    const lying = { ...kms, ...lie(kms) };
    await expect(ensureGenerationKey(store, TENANT, 1, [replica, lying])).rejects.toMatchObject({ code });
    expect(await readWrappings(store)).toEqual([]);

    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [replica]);
    await expect(rewrapGenerationKey(store, { tenantId: TENANT, generation: 1 }, secretKey, [lying])).rejects.toMatchObject({ code });
    expect(await readWrappings(store)).toHaveLength(1);
  });

  it('is used where a principal may wrap and not unwrap, for then nobody can look', async () => {
    const closed = { ...kms, unwrap: () => Promise.reject(new KeyError('AccessDenied', 'not you')) };
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [closed, { ...replica, wrapOnly: true, unwrap: () => Promise.reject(new Error('it was asked')) }]);
    expect(await unwrapGenerationKey(store, TENANT, 1, [kms])).toEqual(secretKey);
  });

  it.each([
    ['another tenant', OTHER, 1],
    ['another generation', TENANT, 2],
  ])('is refused by name when a wrapping of %s lies there', async (_, tenant, generation) => {
    const foreign = new MemoryStore();
    await ensureGenerationKey(foreign, tenant, generation, [kms]);
    for await (const { key } of foreign.list('')) await store.put(key, await foreign.get(key));
    const never = { ...kms, unwrap: () => Promise.reject(new Error('the KMS was asked')) };

    const refused = { code: 'WrongTenant', message: expect.stringContaining(`tenant ${tenant}, generation ${generation}`) };
    await expect(unwrapGenerationKey(store, TENANT, 1, [never])).rejects.toMatchObject(refused);
    await expect(ensureGenerationKey(store, TENANT, 1, [never])).rejects.toMatchObject(refused);
  });

  it('tells the refusal of the KMS that was given first, and never asks one that is there to wrap only', async () => {
    for (let n = 0; n < 12; n += 1) {
      store = new MemoryStore();
      await ensureGenerationKey(store, TENANT, 1, [kms, replica]);
      const disabled = { ...kms, unwrap: () => Promise.reject(new KeyError('KeyDisabled', 'the key is disabled')) };
      const other = { ...replica, unwrap: () => Promise.reject(new KeyError('AccessDenied', 'no')) };
      await expect(unwrapGenerationKey(store, TENANT, 1, [disabled, other])).rejects.toMatchObject({ code: 'KeyDisabled' });
      await expect(unwrapGenerationKey(store, TENANT, 1, [{ ...other, wrapOnly: true }, disabled])).rejects.toMatchObject({ code: 'KeyDisabled' });
    }
  });

  it('is refused by the KMS when a wrapping lies about its tenant', async () => {
    const foreign = new MemoryStore();
    await ensureGenerationKey(foreign, OTHER, 1, [kms]);
    const [genuine] = await readWrappings(foreign);
    const forged = encodeWrapping({ ...genuine!.wrapping, tenant: TENANT, context: { 'tenant-backup/tenant': TENANT, 'tenant-backup/generation': '1' } });
    await store.put(wrappingKey(forged.name), forged.bytes);
    await expect(unwrapGenerationKey(store, TENANT, 1, [kms])).rejects.toMatchObject({ code: 'WrongContext' });
  });

  it('names the keys that would do when another is given', async () => {
    await ensureGenerationKey(store, TENANT, 1, [kms]);
    const aws = { ...replica, provider: 'aws', keyId: 'arn:aws:kms:eu:1:key/other' } satisfies KmsProvider;
    await expect(unwrapGenerationKey(store, TENANT, 1, [aws])).rejects.toMatchObject({ code: 'NoWrapping', message: expect.stringContaining(`local:${kms.keyId}`) });
    await expect(unwrapGenerationKey(new MemoryStore(), TENANT, 1, [kms])).rejects.toMatchObject({ code: 'NoWrapping' });
    await expect(unwrapGenerationKey(store, TENANT, 1, [await randomLocalKms()])).rejects.toMatchObject({ code: 'WrongContext' });
  });

  it.each([
    ['not JSON', () => Buffer.from('hello'), 'Damaged'],
    ['not canonical', () => Buffer.from('{ "version": 1 }'), 'Damaged'],
    ['of a later version', () => Buffer.from('{"version":2}'), 'UnknownVersion'],
    ['lacking fields', () => Buffer.from('{"version":1}'), 'Damaged'],
  ])('refuses a wrapping that is %s', async (_, make, code) => {
    const { createHash } = await import('node:crypto');
    await store.put(wrappingKey(createHash('sha256').update(make()).digest('hex')), make());
    await expect(unwrapGenerationKey(store, TENANT, 1, [kms])).rejects.toMatchObject({ code });
  });

  it('refuses a wrapping whose bytes are not those of its name', async () => {
    await ensureGenerationKey(store, TENANT, 1, [kms]);
    const name = (await readWrappings(store))[0]!.name;
    const bytes = await store.get(wrappingKey(name));
    await store.put(wrappingKey(name), Buffer.from(Buffer.from(bytes).toString().replace(/"createdAt":"2/, '"createdAt":"1')));
    await expect(unwrapGenerationKey(store, TENANT, 1, [kms])).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining('SHA-256') });
  });

  it('opens a repository whose owner only the wrappings tell', async () => {
    const { secretKey } = await ensureGenerationKey(store, TENANT, 3, [kms]);
    expect(await unwrapRepositoryKey(store, [kms])).toEqual({ secretKey, identity: { tenantId: TENANT, generation: 3 } });
  });

  it('leaves no plaintext key in the store', async () => {
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [kms]);
    const written = Buffer.from(secretKey).toString();
    for await (const { key } of store.list('')) expect(Buffer.from(await store.get(key)).toString()).not.toContain(written.slice(5, 20));
  });

  it('tells by a probe whether a principal can also unwrap', async () => {
    const wrapOnly = { ...kms, unwrap: () => Promise.reject(new KeyError('AccessDenied', 'no')) };
    expect(await probeKms(kms)).toEqual({ keyId: kms.keyId, canUnwrap: true });
    expect(await probeKms(wrapOnly)).toEqual({ keyId: kms.keyId, canUnwrap: false });
    await expect(probeKms({ ...kms, unwrap: () => Promise.reject(new KeyError('Throttled', 'slow')) })).rejects.toMatchObject({ code: 'Throttled' });
  });
});

describe('re-wrapping under a new KMS key', () => {
  const identity = { tenantId: TENANT, generation: 1 };

  it('adds one file, writes over nothing, and lets the new key alone open what the old one did', async () => {
    const store = new MemoryStore();
    const [old, replica, fresh] = [await randomLocalKms('old'), await randomLocalKms('replica'), await randomLocalKms('fresh')];
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [old, replica]);
    const before = await contentOf(store);

    const rewrapped = await rewrapGenerationKey(store, identity, secretKey, [fresh]);

    expect(rewrapped).toEqual([{ provider: 'local', keyId: 'fresh', isNew: true }]);
    const after = await contentOf(store);
    for (const [key, bytes] of before) expect(after.get(key)).toEqual(bytes);
    expect(after.size).toBe(before.size + 1);
    for (const kms of [old, replica, fresh]) expect(await unwrapGenerationKey(store, TENANT, 1, [kms])).toEqual(secretKey);
  });

  it('adds nothing when run again, nor twice for a key that is named twice', async () => {
    const store = new MemoryStore();
    const [old, fresh] = [await randomLocalKms('old'), await randomLocalKms('fresh')];
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [old]);
    expect((await rewrapGenerationKey(store, identity, secretKey, [fresh, fresh])).map(({ isNew }) => isNew)).toEqual([true, false]);
    expect((await rewrapGenerationKey(store, identity, secretKey, [old, fresh])).map(({ isNew }) => isNew)).toEqual([false, false]);
    expect(await readWrappings(store)).toHaveLength(2);
  });

  it('puts nothing when one of the KMS refuses, and nothing among wrappings of another tenant', async () => {
    const store = new MemoryStore();
    const [old, fresh] = [await randomLocalKms('old'), await randomLocalKms('fresh')];
    const { secretKey } = await ensureGenerationKey(store, TENANT, 1, [old]);
    const before = await contentOf(store);
    const broken: KmsProvider = { ...(await randomLocalKms('broken')), wrap: () => Promise.reject(new KeyError('KeyDisabled', 'the key is disabled')) };

    await expect(rewrapGenerationKey(store, identity, secretKey, [fresh, broken])).rejects.toMatchObject({ code: 'KeyDisabled' });
    await expect(rewrapGenerationKey(store, { tenantId: OTHER, generation: 1 }, secretKey, [fresh])).rejects.toMatchObject({ code: 'WrongTenant' });
    expect(await contentOf(store)).toEqual(before);
  });
});

async function contentOf(store: ObjectStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { key } of store.list('')) content.set(key, Buffer.from(await store.get(key)).toString('hex'));
  return content;
}
