import { timingSafeEqual } from 'node:crypto';
import { KeyError } from './errors.ts';
import type { KmsProvider, Wrapped } from './kms-provider.ts';
import { tenantContext, type TenantContext } from './tenant-context.ts';
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

/**
 * Wraps a secret key under every KMS, and stores nothing: one that refuses leaves nothing behind. What a KMS wrapped is unwrapped once where that is allowed: everything that is
 * encrypted with the key later depends on it, and nobody would ask before it is needed.
 * @throws {KeyError} `Damaged` where a KMS gives back another key
 */
export function wrapKey(key: Uint8Array, { tenantId, generation }: KeyIdentity, providers: readonly KmsProvider[], signal?: AbortSignal): Promise<EncodedWrapping[]> {
  const context = tenantContext(tenantId, generation);
  return Promise.all(
    providers.map(async (provider) => {
      const { ciphertext, keyId } = await provider.wrap(key, context, signal);
      await assertOpens(provider, key, { ciphertext, keyId }, context, signal);
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

async function assertOpens(provider: KmsProvider, key: Uint8Array, { ciphertext, keyId }: Wrapped, context: TenantContext, signal: AbortSignal | undefined): Promise<void> {
  if (provider.wrapOnly === true) return;
  let opened: Uint8Array;
  try {
    opened = await provider.unwrap(ciphertext, context, { keyId, signal });
  } catch (error) {
    // Who may wrap here and not unwrap cannot look.
    if (error instanceof KeyError && error.code === 'AccessDenied') return;
    throw error;
  }
  const isSame = opened.byteLength === key.byteLength && timingSafeEqual(opened, key);
  opened.fill(0);
  if (!isSame) throw new KeyError('Damaged', `the KMS key ${keyId} gives back another secret key than was wrapped under it; nothing was stored. Do not back up with this KMS before you know why`, { context: { keyId } });
}
