import type { CallOptions, ObjectStore } from './object-store.ts';

/** Whether anything lies below a prefix, and what: its first key, in byte order. */
export async function firstKey(store: ObjectStore, prefix: string, options: CallOptions = {}): Promise<string | undefined> {
  for await (const { key } of store.list(prefix, options)) return key;
  return undefined;
}
