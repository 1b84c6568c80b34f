import { StorageError, type ObjectStore } from '../storage/index.ts';
import { decodeFirstWrappings, decodeWrapping, type FirstWrappings, type Wrapping } from './wrapping.ts';

const FOLDER = 'wrappings/';
const MARKER = `${FOLDER}first.json`;
const WRAPPING_FILE = /^wrappings\/([0-9a-f]{64})\.json$/;

export interface NamedWrapping {
  readonly name: string;
  readonly wrapping: Wrapping;
}

export function wrappingKey(name: string): string {
  return `${FOLDER}${name}.json`;
}

/** The marker of a generation's first moment; `undefined` before it. */
export async function readMarker(store: ObjectStore, signal?: AbortSignal): Promise<FirstWrappings | undefined> {
  try {
    return decodeFirstWrappings(await store.get(MARKER, { signal }));
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NotFound') return undefined;
    throw error;
  }
}

export async function writeMarker(store: ObjectStore, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  await store.put(MARKER, bytes, { ifAbsent: true, signal });
}

/** Every wrapping of a generation's folder. The store is at `g<generation>/`, or at the root of a downloaded repository. */
export async function readWrappings(store: ObjectStore, signal?: AbortSignal): Promise<NamedWrapping[]> {
  const names: string[] = [];
  for await (const { key } of store.list(FOLDER, { signal })) {
    const name = WRAPPING_FILE.exec(key)?.[1];
    if (name !== undefined) names.push(name);
  }
  return Promise.all(names.map(async (name) => ({ name, wrapping: decodeWrapping(name, await store.get(wrappingKey(name), { signal })) })));
}
