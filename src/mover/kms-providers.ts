import type { MoverKms, MoverOrders } from '../api/index.ts';
import { KeyError, openAwsKms, openLocalKms, type KmsProvider } from '../keys/index.ts';
import type { CredentialsFile } from './credentials-file.ts';

export interface KmsProviders {
  /** Every KMS that has to wrap a new key. */
  readonly all: readonly KmsProvider[];
  /** Those that this mover may unwrap with: the second data center's is not among them. */
  readonly unwrapping: readonly KmsProvider[];
  close(): void;
}

/**
 * The KMS of the orders, with credentials that are read from the mounted file when they are needed.
 * @param warn told that a local key is not for production
 */
export async function openKmsProviders(orders: MoverOrders, credentials: CredentialsFile, warn: (message: string) => void): Promise<KmsProviders> {
  const opened = await Promise.all(orders.kms.map(async (kms) => ({ use: kms.use, provider: await open(kms, credentials, warn) })));
  return {
    all: opened.map(({ use, provider }) => (use === 'wrap' ? wrapOnly(provider) : provider)),
    unwrapping: opened.filter(({ use }) => use === 'wrapAndUnwrap').map(({ provider }) => provider),
    close: () => opened.forEach(({ provider }) => provider.close()),
  };
}

function open(kms: MoverKms, credentials: CredentialsFile, warn: (message: string) => void): KmsProvider | Promise<KmsProvider> {
  switch (kms.provider) {
    case 'aws': {
      const { endpoint, region, keyId, name, caBundle } = kms;
      return openAwsKms({ keyId, region, ...(endpoint === undefined ? {} : { endpoint }), ...(caBundle === undefined ? {} : { caBundle }), credentials: () => credentials.kms(name) });
    }
    case 'local':
      return openLocalKms({ keyId: kms.keyId, readKey: () => credentials.localKey(kms.name), warn });
  }
}

/** A provider without its `unwrap`: what asks for it nevertheless is a mistake of ours. */
function wrapOnly(provider: KmsProvider): KmsProvider {
  return {
    provider: provider.provider,
    keyId: provider.keyId,
    ...(provider.region === undefined ? {} : { region: provider.region }),
    wrapOnly: true,
    wrap: (key, context, signal) => provider.wrap(key, context, signal),
    unwrap: () => Promise.reject(new KeyError('AccessDenied', `the KMS key ${provider.keyId} is there to wrap only: the second data center unwraps with it`)),
    close: () => provider.close(),
  };
}
