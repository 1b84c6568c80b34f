import { writeFile } from 'node:fs/promises';
import { resultKey, type MoverOrders, type MoverResult, type ReplicationResult } from '../api/index.ts';
import { canonicalJson, StorageError, type ObjectStore } from '../storage/index.ts';
import { shortForm } from './short-form.ts';

/**
 * Leaves the result in the bucket, where it survives the pod.
 * @param store at the tenant's prefix
 */
export async function putResult(store: ObjectStore, orders: MoverOrders, result: MoverResult, signal: AbortSignal): Promise<void> {
  const key = resultKey(orders.tenant.generation, orders.attempt.uid, orders.attempt.number);
  try {
    await store.put(key, canonicalJson(result), { ifAbsent: true, signal });
  } catch (error) {
    // An earlier pod of this very attempt has left its result; nothing is ever put twice under one name.
    if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
  }
}

/**
 * Writes the short form where the kubelet picks it up.
 * @param isInBucket - whether the whole of it is where the operator can read it
 */
export async function writeTerminationMessage(path: string, result: MoverResult, isInBucket: boolean): Promise<void> {
  await writeFile(path, shortForm(result, isInBucket));
}

/** Counts alone, and why it failed: which tenants, the object in the bucket says, if it is the one with that SHA-256. */
export async function writeReplicationMessage(path: string, result: ReplicationResult, sha256: string | undefined): Promise<void> {
  const { failure } = result;
  const short = failure === undefined ? {} : { failure: { ...failure, message: failure.message.slice(0, LONGEST_MESSAGE) } };
  await writeFile(path, JSON.stringify({ ...result, ...short, tenants: [], findings: [], ...(sha256 === undefined ? {} : { sha256 }) }));
}

/** Of any script three bytes a character at most, and 2 KiB in all. */
const LONGEST_MESSAGE = 400;
