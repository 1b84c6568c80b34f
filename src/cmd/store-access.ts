import { readFile, stat } from 'node:fs/promises';
import * as z from 'zod';
import { isErrno, openStore, parseStoreUrl, type ObjectStore, type RetryOptions } from '../storage/index.ts';
import type { ProcessContext } from './command-context.ts';
import { outputFor } from './output.ts';
import { UsageError } from './usage-error.ts';

/** What every command that reaches a store takes. */
export const StoreOptions = z.object({
  caFile: z.string().min(1).optional(),
  json: z.boolean().default(false),
});
export type StoreOptions = z.infer<typeof StoreOptions>;

/** A storage service may be started anew under hours of work. */
const PATIENCE_MS = 5 * 60_000;
/** Not a word for each of many requests that fail together. */
const NOTICE_MS = 10_000;

/**
 * Opens the store at `url`. What it does not get at once it tries again, and says so. The caller closes it.
 * @param option - that named it, such as `--repository`
 */
export async function openStoreAt(option: string, url: string, options: StoreOptions, context: ProcessContext): Promise<ObjectStore> {
  await refuseFile(option, url);
  const caBundle = await readCaFile(options.caFile);
  return openStore(url, {
    // A later backup believes that a pack is there because an index says so; after a power cut both must be true.
    durable: true,
    s3: caBundle === undefined ? {} : { caBundle },
    retry: { patienceMs: PATIENCE_MS, onRetry: retryNotice(options, context) },
  });
}

/** Opens the store that `--repository` names, with `--from-replica` as it was before anybody deleted or wrote over what is in it, and closes it after `work`. */
export async function withStore<T>(options: StoreOptions & { readonly repository: string; readonly fromReplica?: boolean }, context: ProcessContext, work: (store: ObjectStore) => Promise<T>): Promise<T> {
  const store = await openStoreAt('--repository', options.repository, options, context);
  try {
    return await work(options.fromReplica === true ? await asReplica(store) : store);
  } catch (error) {
    // Such as those of a new repository that did not come to be.
    await store.removeMadeFolders?.();
    throw error;
  } finally {
    await store.close();
  }
}

/** @throws {UsageError} where a file lies at the path, or above it: nothing of a repository can be there. */
async function refuseFile(option: string, url: string): Promise<void> {
  const address = parseStoreUrl(url);
  if (address.kind !== 'file') return;
  const isFile = await stat(address.path).then((found) => !found.isDirectory(), (error: unknown) => isErrno(error, 'ENOTDIR'));
  if (!isFile) return;
  throw new UsageError(`${option} ${url}: ${address.path} is a file, or lies below one; name the directory of the repository. A file that export made goes into one with import`);
}

async function asReplica(store: ObjectStore): Promise<ObjectStore> {
  const { readingFirstVersions } = await import('../mover/index.ts');
  return readingFirstVersions(store);
}

/** The certificate authorities in the file that `--ca-file` names. @throws {UsageError} when it holds none. */
export async function readCaFile(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'latin1').catch((cause: unknown) => {
    throw new UsageError(`--ca-file ${path}: it cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
  });
  // The client would take anything and trust nothing.
  if (!/-----BEGIN (?:TRUSTED )?CERTIFICATE-----/.test(text)) throw new UsageError(`--ca-file ${path}: it holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)`);
  return text;
}

function retryNotice(options: StoreOptions, context: ProcessContext): NonNullable<RetryOptions['onRetry']> {
  const output = outputFor(options, context);
  let saidAt = -Infinity;
  return ({ attempt, error }) => {
    // The first tries are over in a moment, and nobody need know.
    if (attempt < 4 || context.now() - saidAt < NOTICE_MS) return;
    saidAt = context.now();
    output.warn({ type: 'warning', kind: 'retry', path: '', message: error.message }, `still trying: ${error.message}`);
  };
}
