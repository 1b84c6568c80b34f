/**
 * Functions of C libraries that lie in the running Node itself (zstd, OpenSSL), called directly: contexts are kept and results go where the
 * caller says, which `node:zlib` and `node:crypto` cannot do. Where a Node does not export them, there are none, and the caller uses Node's
 * own modules: the bytes are the same.
 */
import { createRequire } from 'node:module';

export type Foreign = (...args: unknown[]) => unknown;

/** @param prototypes - in C, by the names that the functions are to have here; `undefined` unless the running Node has all of them */
export function nodeFunctions<Name extends string>(prototypes: Readonly<Record<Name, string>>): Record<Name, Foreign> | undefined {
  try {
    const program = loadKoffi().load(null);
    const entries = Object.entries<string>(prototypes).map(([name, prototype]) => [name, program.func(prototype) as Foreign] as const);
    return Object.fromEntries(entries) as Record<Name, Foreign>;
  } catch {
    return undefined;
  }
}

/** Where a buffer lies in memory; `undefined` where nothing tells. It holds as long as the buffer is alive. */
export function addressOf(bytes: Uint8Array): bigint | undefined {
  try {
    return loadKoffi().address(bytes);
  } catch {
    return undefined;
  }
}

function loadKoffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi') as typeof import('koffi');
}
