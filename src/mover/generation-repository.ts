import { ensureGenerationKey, KeyError, unwrapGenerationKey } from '../keys/index.ts';
import type { Repository } from '../restic/contract.ts';
import { EngineError } from '../restic/errors.ts';
import { firstKey, type ObjectStore } from '../storage/index.ts';
import type { MoverWork } from './mover-work.ts';

/** A tenant's repository of one key generation, below the tenant's prefix. */
export function generationStore(tenantStore: ObjectStore, generation: number): ObjectStore {
  return tenantStore.within(`g${generation}`);
}

/** Opens the repository with the key that the first KMS unwraps; the key's bytes are wiped as soon as it is open. */
export async function openGeneration(work: MoverWork): Promise<Repository> {
  const { orders, engine, tenantStore, kms, signal } = work;
  const store = generationStore(tenantStore, orders.tenant.generation);
  const password = await unwrapGenerationKey(store, orders.tenant.id, orders.tenant.generation, kms.unwrapping, signal);
  return withKey(password, () => engine.openRepository({ store, password, signal }));
}

/** The same, and `undefined` where this generation was never begun: neither a wrapped key nor a repository is there, nor what is left of one. */
export async function openGenerationIfAny(work: MoverWork): Promise<Repository | undefined> {
  try {
    return await openGeneration(work);
  } catch (error) {
    const missing = (error instanceof KeyError && error.code === 'NoWrapping') || (error instanceof EngineError && error.code === 'NoRepository');
    if (missing && !(await holdsAnything(generationStore(work.tenantStore, work.orders.tenant.generation), work.signal))) return undefined;
    throw error;
  }
}

async function holdsAnything(store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  const found = await Promise.all([store.head('config', { signal }), ...['snapshots/', 'data/'].map((folder) => firstKey(store, folder, { signal }))]);
  return found.some((object) => object !== undefined);
}

/**
 * Opens the repository, and makes it where it is not there yet: the key and its wrappings first, then key file and config
 * (`docs/layout.md`). Several movers may do so at once; the losers open what the winner made.
 */
export async function openOrCreateGeneration(work: MoverWork): Promise<Repository> {
  const { orders, engine, tenantStore, kms, signal } = work;
  const store = generationStore(tenantStore, orders.tenant.generation);
  const { secretKey: password } = await ensureGenerationKey(store, orders.tenant.id, orders.tenant.generation, kms.all, signal);
  return withKey(password, async () => {
    try {
      return await engine.openRepository({ store, password, signal });
    } catch (error) {
      if (!isEngineError(error, 'NoRepository')) throw error;
    }
    try {
      return await engine.initRepository({ store, password, signal });
    } catch (error) {
      if (!isEngineError(error, 'AlreadyInitialized')) throw error;
      return engine.openRepository({ store, password, signal });
    }
  });
}

async function withKey<T>(password: Uint8Array, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } finally {
    password.fill(0);
  }
}

function isEngineError(error: unknown, code: EngineError['code']): boolean {
  return error instanceof EngineError && error.code === code;
}
