import { hash } from 'node:crypto';
import { StorageError, type ObjectStore } from '../../storage/index.ts';
import type { InitOptions, OpenOptions, Repository } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { CipherKey, damaged, decodeUnpacked, encodeConfig, encodeKeyFile, isId, newConfig, openKeyFile, parseConfig, parseKeyFile, type Config } from '../format/index.ts';
import { OpenRepository } from './open-repository.ts';
import { keyOf } from './opened.ts';

const configKey = 'config';
/** Each key file costs a run of scrypt, so a folder stuffed with them must not keep us busy (restic tries as many). */
const maxKeysTried = 20;

/**
 * Makes an empty repository: first the key file, then `config`, which decides. Of two that make one at once, one wins.
 * @throws {EngineError} `AlreadyInitialized`
 */
export async function initRepository({ store, password, signal }: InitOptions): Promise<Repository> {
  if ((await store.head(configKey, { signal })) !== undefined) throw alreadyInitialized(store);
  const key = CipherKey.generate();
  const keyFile = await encodeKeyFile(key, password, new Date());
  const keyFileKey = keyOf('keys', hash('sha256', keyFile, 'hex'));
  await store.put(keyFileKey, keyFile, { ifAbsent: true, signal });
  const config = newConfig();
  try {
    await store.put(configKey, key.seal(encodeConfig(config)), { ifAbsent: true, signal });
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.code === 'AlreadyExists')) throw cause;
    await store.delete(keyFileKey, { signal });
    throw alreadyInitialized(store, cause);
  }
  return new OpenRepository({ store, key, config, readOnly: false });
}

function alreadyInitialized(store: ObjectStore, cause?: unknown): EngineError {
  return new EngineError('AlreadyInitialized', `There is a repository at ${store.location} already. Open it, or choose an empty place.`, { cause });
}

/**
 * @throws {EngineError} `NoRepository`, `WrongKey`, `UnknownVersion`, `Damaged`
 */
export async function openRepository({ store, password, readOnly = false, signal }: OpenOptions): Promise<Repository> {
  const sealedConfig = await loadConfig(store, signal);
  let firstFailure: Error | undefined;
  for (const keyFileKey of await listKeyFiles(store, signal)) {
    try {
      const key = await openKeyFile(parseKeyFile(await store.get(keyFileKey, { signal }), keyFileKey), password, keyFileKey);
      if (key === undefined) continue;
      // A key file may be left from a repository whose making was cut short before `config`: then its key opens nothing here.
      const config = openConfig(key, sealedConfig);
      if (config !== undefined) return new OpenRepository({ store, key, config, readOnly });
      firstFailure ??= damaged('config', 'the key that the password opens does not fit it');
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof EngineError && error.code === 'UnknownVersion') throw error;
      firstFailure ??= error instanceof Error ? error : new Error(String(error));
    }
  }
  if (firstFailure !== undefined) throw firstFailure;
  throw new EngineError('WrongKey', `The secret key does not open the repository at ${store.location}. Check that it is this tenant's and this generation's.`);
}

async function loadConfig(store: ObjectStore, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    return await store.get(configKey, { signal });
  } catch (cause) {
    if (!(cause instanceof StorageError && cause.code === 'NotFound')) throw cause;
    throw new EngineError('NoRepository', `There is no repository at ${store.location}. Check the place, or make one with \`init\`.`, { cause });
  }
}

function openConfig(key: CipherKey, sealed: Uint8Array): Config | undefined {
  const json = key.open(sealed);
  return json === undefined ? undefined : parseConfig(decodeUnpacked(json, 'config'));
}

async function listKeyFiles(store: ObjectStore, signal: AbortSignal | undefined): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('keys/', { signal })) {
    if (isId(key.slice('keys/'.length)) && keys.push(key) === maxKeysTried) break;
  }
  if (keys.length === 0) throw damaged(`the repository at ${store.location}`, 'it has no key files');
  return keys;
}

/** What the engine works with, from what callers hold. */
export function openedOf(repository: Repository): OpenRepository {
  if (repository instanceof OpenRepository) return repository;
  throw new EngineError('Unexpected', 'The repository was not opened by this engine. Use `openRepository` or `initRepository`.');
}
