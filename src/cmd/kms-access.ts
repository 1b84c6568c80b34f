import { ensureGenerationKey, KeyError, openAwsKms, openLocalKms, readLocalKeyFile, unwrapGenerationKey, unwrapRepositoryKey, type KmsProvider } from '../keys/index.ts';
import type { ObjectStore } from '../storage/index.ts';
import type { Sink } from './output.ts';
import type { RepositoryOptions } from './command-options.ts';
import { NO_TENANT } from '../mover/manifest.ts';
import { tenantOf } from './tenant-of-url.ts';
import { parseKmsOption } from './kms-option.ts';
import { readCaFile } from './store-access.ts';
import { UsageError } from './usage-error.ts';

/** The repository's password, unwrapped by one of the KMS that `--kms` names. The caller wipes it. */
export function unwrapFromStore(options: RepositoryOptions, store: ObjectStore, stderr: Sink, signal: AbortSignal): Promise<Uint8Array> {
  return withProviders(options, stderr, async (providers) => {
    const tenant = tenantOf(options);
    if (tenant !== undefined) return unwrapGenerationKey(store, tenant.id, tenant.generation, providers, signal);
    return (await unwrapRepositoryKey(store, providers, signal)).secretKey;
  });
}

/** The password of a new repository: a new secret key, stored wrapped by every KMS that `--kms` names. The caller wipes it. */
export function createInStore(options: RepositoryOptions, store: ObjectStore, stderr: Sink, signal: AbortSignal): Promise<Uint8Array> {
  return withProviders(options, stderr, async (providers) => {
    const tenant = tenantOf(options) ?? { id: NO_TENANT, generation: 1 };
    return (await ensureGenerationKey(store, tenant.id, tenant.generation, providers, signal)).secretKey;
  });
}

/** Opens every KMS of a list of `--kms`-like options for `work`, and closes them. */
export async function withProviders<T>(options: Pick<RepositoryOptions, 'kms' | 'caFile'>, stderr: Sink, work: (providers: readonly KmsProvider[]) => Promise<T>): Promise<T> {
  const providers: KmsProvider[] = [];
  try {
    const caBundle = await readCaFile(options.caFile);
    for (const text of options.kms) providers.push(await open(text, caBundle, stderr));
    return await work(providers);
  } finally {
    providers.forEach((provider) => provider.close());
  }
}

function open(text: string, caBundle: string | undefined, stderr: Sink): KmsProvider | Promise<KmsProvider> {
  const kms = parseKmsOption(text);
  switch (kms.provider) {
    case 'aws': {
      const { keyId, endpoint, region } = kms;
      return openAwsKms({ keyId, ...(caBundle === undefined ? {} : { caBundle }), ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }) });
    }
    case 'local':
      return openLocalKms({ readKey: () => readKeyFile(text, kms.path), warn: (message) => void stderr.write(`warning: ${message}\n`) });
  }
}

/** @throws {UsageError} when the file that the option names is no key file. */
async function readKeyFile(option: string, path: string): Promise<Uint8Array> {
  try {
    return await readLocalKeyFile(path);
  } catch (error) {
    if (error instanceof KeyError) throw new UsageError(`--kms ${option}: ${error.message}`);
    throw error;
  }
}
