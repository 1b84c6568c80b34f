// What an accident or an attacker does to a repository in the bucket.
import { CipherKey, openKeyFile, parseKeyFile } from '../../../src/restic/format/index.ts';
import type { ObjectStore } from '../../../src/storage/index.ts';
import { openBucket, secretKeyOf, tenantIdOf } from '../../support/bucket.ts';
import { SHARED_LOCATION } from './fault.ts';

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function withRepository<T>(namespace: string, work: (store: ObjectStore, tenantId: string) => Promise<T>): Promise<T> {
  const tenantId = await tenantIdOf(namespace);
  const store = await openBucket(`${SHARED_LOCATION}/tenants/${tenantId}/g1`);
  try {
    return await work(store, tenantId);
  } finally {
    await store.close();
  }
}

async function replace(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.delete(key);
  await store.put(key, bytes);
}

/** One bit of every index file is another one. */
export async function flipBitOfIndex(namespace: string): Promise<void> {
  await withRepository(namespace, async (store) => {
    for (const key of await keysOf(store, 'index/')) {
      const bytes = Uint8Array.from(await store.get(key));
      bytes[20] = (bytes[20] ?? 0) ^ 1;
      await replace(store, key, bytes);
    }
  });
}

/** The repository says, under its own key, that it has a version of the future. */
export async function writeConfigOfVersion(namespace: string, version: number): Promise<void> {
  await withRepository(namespace, async (store, tenantId) => {
    const password = await secretKeyOf(SHARED_LOCATION, tenantId);
    const [name = ''] = await keysOf(store, 'keys/');
    const key = await openKeyFile(parseKeyFile(await store.get(name), name), password, name);
    password.fill(0);
    if (!(key instanceof CipherKey)) throw new Error('the key file does not open');
    const config = JSON.parse(Buffer.from(key.open(await store.get('config')) ?? []).toString('utf8')) as object;
    await replace(store, 'config', key.seal(Buffer.from(JSON.stringify({ ...config, version }))));
    key.wipe();
  });
}

/** The wrapped keys of one tenant are put into the place of another's. */
export async function swapWrappings(victim: string, thief: string): Promise<void> {
  const files = await withRepository(victim, async (store) =>
    Promise.all((await keysOf(store, 'wrappings/')).map(async (key) => ({ key, bytes: await store.get(key) }))),
  );
  await withRepository(thief, async (store) => {
    for (const key of await keysOf(store, 'wrappings/')) await store.delete(key);
    for (const { key, bytes } of files) await store.put(key, bytes);
  });
}

/** restic's locks of a location that nobody took away. */
export async function locksBelow(location: string): Promise<string[]> {
  const store = await openBucket(location);
  try {
    return (await keysOf(store, 'tenants/')).filter((key) => key.includes('/locks/'));
  } finally {
    await store.close();
  }
}
