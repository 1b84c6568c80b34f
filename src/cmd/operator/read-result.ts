import { hash } from 'node:crypto';
import { PortError } from '../../controller/index.ts';
import { StorageError, type ObjectStore } from '../../storage/index.ts';

export interface ResultFile {
  /** In the store. */
  readonly key: string;
  /** As messages have it. */
  readonly name: string;
  readonly mostBytes: number;
  /** Who leaves such results. */
  readonly writer: string;
  /** Of its bytes, in hex: anything else counts as none. */
  readonly sha256?: string | undefined;
}

/** The JSON of a result; `undefined` where none was left. @throws {PortError} */
export async function readResult(store: ObjectStore, { key, name, mostBytes, writer, sha256 }: ResultFile, signal: AbortSignal): Promise<unknown> {
  try {
    const found = await store.head(key, { signal });
    if (found === undefined) return undefined;
    if (found.size > mostBytes && sha256 !== undefined) return undefined;
    if (found.size > mostBytes) throw new PortError('Damaged', `the result ${name} has ${found.size} bytes; that is no ${writer}'s`, { retryable: false });
    const bytes = await store.get(key, { signal });
    if (sha256 !== undefined && hash('sha256', bytes, 'hex') !== sha256) return undefined;
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof StorageError) throw new PortError(error.code, `the result ${name} could not be read: ${error.message}`, { retryable: error.retryable, cause: error });
    if (error instanceof SyntaxError) throw new PortError('Damaged', `the result ${name} is no JSON`, { retryable: false, cause: error });
    throw error;
  }
}
