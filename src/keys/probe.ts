import { randomBytes, timingSafeEqual } from 'node:crypto';
import { KeyError } from './errors.ts';
import type { KmsProvider } from './kms-provider.ts';
import { SECRET_KEY_BYTES } from './secret-key.ts';
import { tenantContext } from './tenant-context.ts';

/** No tenant has it: ids are random. */
const NO_TENANT = '0'.repeat(32);

export interface KmsProbe {
  /** As exactly as the provider says. */
  readonly keyId: string;
  /** True when this principal can also unwrap. The operator's and the portal's must not (design.md, invariant 2). */
  readonly canUnwrap: boolean;
}

/**
 * Wraps random bytes, and tries to unwrap them again.
 * @throws {KeyError} when wrapping fails, or unwrapping for another reason than that it is not allowed.
 */
export async function probeKms(provider: KmsProvider, signal?: AbortSignal): Promise<KmsProbe> {
  const context = tenantContext(NO_TENANT, 1);
  const probe = randomBytes(SECRET_KEY_BYTES);
  const { ciphertext, keyId } = await provider.wrap(probe, context, signal);
  try {
    const back = await provider.unwrap(ciphertext, context, { keyId, signal });
    if (back.byteLength === probe.byteLength && timingSafeEqual(back, probe)) return { keyId, canUnwrap: true };
  } catch (error) {
    if (error instanceof KeyError && error.code === 'AccessDenied') return { keyId, canUnwrap: false };
    throw error;
  }
  throw new KeyError('Unexpected', `the KMS key ${keyId} unwraps something else than it wrapped; do not use it`, { context: { keyId } });
}
