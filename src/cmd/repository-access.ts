import type { Engine, Repository } from '../restic/contract.ts';
import type { ObjectStore } from '../storage/index.ts';
import type { ProcessContext } from './command-context.ts';
import type { RepositoryOptions } from './command-options.ts';
import { withStore } from './store-access.ts';
import { UsageError } from './usage-error.ts';

/** What a command works with while its repository is open. */
export interface OpenedAccess {
  readonly engine: Engine;
  readonly repository: Repository;
}

/**
 * Opens the store and the repository with the key that the options name, runs `work`, and closes everything, whatever
 * happened. The key's bytes are wiped once the repository is open.
 */
export async function withRepository<T>(
  options: RepositoryOptions,
  context: ProcessContext,
  work: (access: OpenedAccess) => Promise<T>,
): Promise<T> {
  return withStore(options, context, async (store) => {
    const engine: Engine = await import('../restic/index.ts');
    const password = await readSecretKey(options, store, context);
    const repository = await engine.openRepository({ store, password, signal: context.signal }).finally(() => password.fill(0));
    try {
      return await work({ engine, repository });
    } finally {
      await repository.close();
    }
  });
}

/**
 * The repository's password from `--secret-key-file`, or unwrapped by a KMS. The caller wipes it.
 * @throws {UsageError} when the options name no key, or two.
 */
export async function readSecretKey(options: RepositoryOptions, store: ObjectStore, context: ProcessContext): Promise<Uint8Array> {
  if (options.secretKeyFile !== undefined && options.kms.length > 0) {
    throw new UsageError('--kms and --secret-key-file both name the key; give one of them');
  }
  if (options.secretKeyFile !== undefined) return readSecretKeyFile(options.secretKeyFile, context);
  if (options.kms.length > 0) {
    const { unwrapFromStore } = await import('./kms-access.ts');
    return unwrapFromStore(options, store, context.stderr, context.signal);
  }
  throw new UsageError('the key is missing; give --secret-key-file FILE (or - for stdin), or --kms aws:KEY_ID or local:/path');
}

/** A secret key in its written form, whatever its case and spacing in the file; any other password as it is. */
async function readSecretKeyFile(name: string, context: ProcessContext): Promise<Uint8Array> {
  const [{ readSecretKeyBytes }, { passwordFrom }] = await Promise.all([import('./secret-key-file.ts'), import('../keys/index.ts')]);
  const bytes = await readSecretKeyBytes(name, context);
  try {
    return passwordFrom(bytes);
  } finally {
    bytes.fill(0);
  }
}
