import type { Engine } from '../../restic/contract.ts';
import { EngineError } from '../../restic/errors.ts';
import { firstKey, type ObjectStore } from '../../storage/index.ts';
import type { ProcessContext } from '../command-context.ts';
import { RepositoryOptions, readOptions } from '../command-options.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { outputFor } from '../output.ts';
import { readSecretKey } from '../repository-access.ts';
import { withStore } from '../store-access.ts';

/** `tenant-backup init`: a new, empty repository; with `--kms` also its secret key, wrapped by each KMS that is named. */
export async function init(given: unknown, context: ProcessContext): Promise<ExitStatus> {
  const options = readOptions(RepositoryOptions, given);
  const output = outputFor(options, context);
  return withStore(options, context, async (store) => {
    const engine: Pick<Engine, 'initRepository'> = await import('../../restic/index.ts');
    const password = await newSecretKey(options, store, context);
    const repository = await engine.initRepository({ store, password, signal: context.signal }).finally(() => password.fill(0));
    await repository.close();
    output.print(
      { type: 'summary', command: 'init', repositoryId: repository.id, location: store.location, wrappings: options.kms.length },
      `repository ${repository.id.slice(0, 10)} made at ${store.location}${options.kms.length > 0 ? '; its secret key is stored wrapped' : '; without its key nobody can open it: keep that safe'}`,
    );
    return EXIT.done;
  });
}

async function newSecretKey(options: RepositoryOptions, store: ObjectStore, context: ProcessContext): Promise<Uint8Array> {
  if (options.kms.length === 0 || options.secretKeyFile !== undefined) {
    await refuseWrapped(store, context.signal);
    return readSecretKey(options, store, context);
  }
  const { createInStore } = await import('../kms-access.ts');
  return createInStore(options, store, context.stderr, context.signal);
}

/** Its wrapped keys would not be those of the repository, and nobody would notice before the key is needed. */
async function refuseWrapped(store: ObjectStore, signal: AbortSignal): Promise<void> {
  const wrapping = await firstKey(store, 'wrappings/', { signal });
  if (wrapping === undefined) return;
  throw new EngineError('AlreadyInitialized', `${store.location} has a wrapped secret key already (${wrapping}), so another key has no place there. Give the KMS that wraps it (--kms), or choose an empty place`, {
    context: { location: store.location, wrapping },
  });
}
