import { canonicalJson, firstKey, StorageError, type ObjectStore } from '../storage/index.ts';
import { KeyError } from './errors.ts';
import type { KmsProvider } from './kms-provider.ts';
import { generateSecretKey, writeSecretKey } from './secret-key.ts';
import { unwrapGenerationKey, type KeyIdentity } from './unwrap.ts';
import { wrapKey } from './wrap-key.ts';
import { WRAPPING_VERSION, type FirstWrappings } from './wrapping.ts';
import { readMarker, wrappingKey, writeMarker } from './wrappings-folder.ts';

export interface GenerationKey {
  /** The written form: the repository's password. The caller wipes it. */
  readonly secretKey: Uint8Array;
  /** False when it was there already, or another mover was faster. */
  readonly created: boolean;
}

/**
 * The secret key of a tenant's generation, made where there is none yet (`layout.md`, "Wrapping"): wrapped by every
 * provider, the wrappings put under their SHA-256, then the marker that names them, if it is still absent. Whoever loses that
 * race removes its own wrappings and reads the winner's. Key file and `config` come after, from the engine.
 * @param store at `g<generation>/`
 * @param providers all of them; at least one can unwrap
 */
export async function ensureGenerationKey(
  store: ObjectStore,
  tenantId: string,
  generation: number,
  providers: readonly KmsProvider[],
  signal?: AbortSignal,
): Promise<GenerationKey> {
  if (providers.length === 0) throw new KeyError('NoWrapping', 'no KMS is given to wrap the secret key; name at least one');
  const marker = await readMarker(store, signal);
  if (marker !== undefined) return { secretKey: await unwrapGenerationKey(store, tenantId, generation, providers, signal), created: false };
  // A repository has a key already, so no second one is made, which would not open it: neither where it has lost its `config`, for that may come
  // back. A recovered bucket lacks the marker and has the wrappings.
  if (await holdsRepository(store, signal)) {
    return { secretKey: await unwrapGenerationKey(store, tenantId, generation, providers, signal), created: false };
  }
  const key = generateSecretKey();
  try {
    const names = await putWrappings(store, key, { tenantId, generation }, providers, signal);
    if (await claim(store, { version: WRAPPING_VERSION, tenant: tenantId, generation, wrappings: names }, signal)) {
      return { secretKey: writeSecretKey(key), created: true };
    }
    await store.deleteMany(names.map(wrappingKey), { signal });
  } finally {
    key.fill(0);
  }
  return { secretKey: await unwrapGenerationKey(store, tenantId, generation, providers, signal), created: false };
}

/** What is put after the marker `first.json`, without which nobody makes any of it. */
const AFTER_MARKER = ['keys/', 'snapshots/', 'index/', 'data/', 'manifests/', 'exports/'] as const;

async function holdsRepository(store: ObjectStore, signal: AbortSignal | undefined): Promise<boolean> {
  const found = await Promise.all([store.head('config', { signal }), ...AFTER_MARKER.map((folder) => firstKey(store, folder, { signal }))]);
  return found.some((object) => object !== undefined);
}

async function putWrappings(store: ObjectStore, key: Uint8Array, identity: KeyIdentity, providers: readonly KmsProvider[], signal: AbortSignal | undefined): Promise<string[]> {
  // All are wrapped before the first is put.
  const wrapped = await wrapKey(key, identity, providers, signal);
  await Promise.all(wrapped.map(({ name, bytes }) => store.put(wrappingKey(name), bytes, { ifAbsent: true, signal })));
  return wrapped.map(({ name }) => name);
}

/** True for the one writer whose marker stands. It is read back: a store that ignores `If-None-Match` lets the last one win. */
async function claim(store: ObjectStore, marker: FirstWrappings, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await writeMarker(store, canonicalJson(marker), signal);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'AlreadyExists') return false;
    throw error;
  }
  const standing = await readMarker(store, signal);
  return standing?.wrappings.join() === marker.wrappings.join();
}
