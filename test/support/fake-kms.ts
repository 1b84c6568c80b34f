import { randomBytes } from 'node:crypto';
import { openLocalKms, type KmsProvider } from '../../src/keys/index.ts';

/** A local KMS with a random key and no warning. */
export function randomLocalKms(keyId?: string): Promise<KmsProvider> {
  const key = randomBytes(32);
  return openLocalKms({
    ...(keyId === undefined ? {} : { keyId }),
    readKey: () => Promise.resolve(Uint8Array.from(key)),
    warn: () => undefined,
  });
}
