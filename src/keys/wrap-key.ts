import type { KmsProvider } from './kms-provider.ts';
import { tenantContext } from './tenant-context.ts';
import type { KeyIdentity } from './unwrap.ts';
import { encodeWrapping, WRAPPING_VERSION } from './wrapping.ts';

/** A wrapping that is not stored yet. */
export interface EncodedWrapping {
  readonly provider: 'aws' | 'local';
  /** As exactly as the provider says. */
  readonly keyId: string;
  /** SHA-256 of the bytes. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Wraps a secret key under every KMS, and stores nothing: one that refuses leaves nothing behind. @throws {KeyError} */
export function wrapKey(key: Uint8Array, { tenantId, generation }: KeyIdentity, providers: readonly KmsProvider[], signal?: AbortSignal): Promise<EncodedWrapping[]> {
  const context = tenantContext(tenantId, generation);
  return Promise.all(
    providers.map(async (provider) => {
      const { ciphertext, keyId } = await provider.wrap(key, context, signal);
      const encoded = encodeWrapping({
        version: WRAPPING_VERSION,
        tenant: tenantId,
        generation,
        createdAt: new Date().toISOString(),
        provider: provider.provider,
        keyId,
        ...(provider.region === undefined ? {} : { region: provider.region }),
        context,
        ciphertext: Buffer.from(ciphertext).toString('base64'),
      });
      return { provider: provider.provider, keyId, ...encoded };
    }),
  );
}
