import { hash } from 'node:crypto';
import { StorageError, type ObjectStore } from '../../storage/index.ts';
import type { InitOptions, OpenOptions, Repository } from '../contract.ts';
import { EngineError } from '../errors.ts';
import { CipherKey, damaged, decodeUnpacked, encodeConfig, encodeKeyFile, isId, newConfig, openKeyFile, parseConfig, parseKeyFile, type Config } from '../format/index.ts';
import { OpenRepository } from './open-repository.ts';
import { contentOfRepository, foreignKeyFile, lostConfig } from './lost-config.ts';
import { keyOf } from './opened.ts';

const configKey = 'config';
/** Each key file costs a run of scrypt, so a folder stuffed with them must not keep us busy (restic tries as many). */
const maxKeysTried = 20;

/**
 * Makes an empty repository: first the key file, then `config`, which decides. Of two that make one at once, one wins. One that was killed in
 * between is made anew by the same key.
 * @throws {EngineError} `AlreadyInitialized`; `Damaged` where a repository lies that has lost its `config`; `WrongKey` where another key's file lies
 */
export async function initRepository({ store, password, signal }: InitOptions): Promise<Repository> {
  if ((await store.head(configKey, { signal })) !== undefined) throw alreadyInitialized(store);
  await refuseRemains(store, password, signal);
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

/**
 * Nothing may be there but key files of attempts with the same key that were cut short: over anything else a new `config` would make a repository
 * that has lost its own look like an empty one. Another writer may have put `config` meanwhile, and all the rest after it.
 */
async function refuseRemains(store: ObjectStore, password: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const content = await contentOfRepository(store, signal);
  const foreign = content === undefined ? await foreignKeyFileIn(store, password, signal) : undefined;
  if (content === undefined && foreign === undefined) return;
  if ((await store.head(configKey, { signal })) !== undefined) throw alreadyInitialized(store);
  throw content === undefined ? foreignKeyFile(store, foreign ?? 'keys/') : lostConfig(store, content);
}

/** The first key file that the password does not open, for whatever reason. */
async function foreignKeyFileIn(store: ObjectStore, password: Uint8Array, signal: AbortSignal | undefined): Promise<string | undefined> {
  let tried = 0;
  for await (const { key: keyFileKey } of store.list('keys/', { signal })) {
    if (!isId(keyFileKey.slice('keys/'.length))) continue;
    tried += 1;
    if (tried > maxKeysTried || !(await isOwnKeyFile(store, keyFileKey, password, signal))) return keyFileKey;
  }
  return undefined;
}

/** Also where it has gone: another init lost the race for `config` and took its key file away. */
async function isOwnKeyFile(store: ObjectStore, keyFileKey: string, password: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const key = await openKeyFile(parseKeyFile(await store.get(keyFileKey, { signal }), keyFileKey), password, keyFileKey);
    key?.wipe();
    return key !== undefined;
  } catch (error) {
    if (error instanceof EngineError) return false;
    if (error instanceof StorageError && error.code === 'NotFound') return true;
    throw error;
  }
}

function alreadyInitialized(store: ObjectStore, cause?: unknown): EngineError {
  return new EngineError('AlreadyInitialized', `There is a repository at ${store.location} already. Open it, or choose an empty place.`, { cause });
}

/**
 * @throws {EngineError} `NoRepository`, `WrongKey`, `UnknownVersion`, `Damaged` (also where all is there but `config`)
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
    const content = await contentOfRepository(store, signal);
    // Somebody may have made the repository, and written into it, between our two looks.
    if (content !== undefined && (await store.head(configKey, { signal })) !== undefined) return store.get(configKey, { signal });
    if (content !== undefined) throw lostConfig(store, content);
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
