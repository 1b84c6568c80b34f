import type { ObjectStore } from '../storage/index.ts';
import type { KmsProvider } from './kms-provider.ts';
import { readSecretKey } from './secret-key.ts';
import { isSameKey, refuseForeign, type KeyIdentity } from './unwrap.ts';
import { wrapKey } from './wrap-key.ts';
import { readWrappings, wrappingKey } from './wrappings-folder.ts';

/** What became of one KMS key. */
export interface Rewrapped {
  readonly provider: 'aws' | 'local';
  /** As exactly as the provider says. */
  readonly keyId: string;
  /** False where a wrapping under this key was there before. */
  readonly isNew: boolean;
}

/**
 * Wraps the secret key of a generation under further KMS keys: one more file for each, nothing is written over and no data is
 * read (`docs/layout.md`, "Wrapping"). A KMS key that wraps it already gets no second file.
 * @param store at `g<generation>/`
 * @param secretKey the written form; that it opens this repository, the caller has made sure of
 * @throws {KeyError} `WrongTenant` when a wrapping there belongs to somebody else; what a KMS says otherwise, and then nothing was put
 */
export async function rewrapGenerationKey(
  store: ObjectStore,
  identity: KeyIdentity,
  secretKey: Uint8Array,
  providers: readonly KmsProvider[],
  signal?: AbortSignal,
): Promise<Rewrapped[]> {
  const found = await readWrappings(store, signal);
  for (const { name, wrapping } of found) refuseForeign(name, wrapping, identity);
  const present: { readonly provider: string; readonly keyId: string }[] = found.map(({ wrapping }) => wrapping);
  const key = readSecretKey(secretKey);
  const wrapped = await wrapKey(key, identity, providers, signal).finally(() => key.fill(0));
  const results: Rewrapped[] = [];
  for (const { provider, keyId, name, bytes } of wrapped) {
    const isNew = !present.some((other) => other.provider === provider && isSameKey(other.keyId, keyId));
    if (isNew) await store.put(wrappingKey(name), bytes, { ifAbsent: true, signal });
    present.push({ provider, keyId });
    results.push({ provider, keyId, isNew });
  }
  return results;
}
