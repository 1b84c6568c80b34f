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
}

/** The JSON of a result; `undefined` where none was left. @throws {PortError} */
export async function readResult(store: ObjectStore, { key, name, mostBytes, writer }: ResultFile, signal: AbortSignal): Promise<unknown> {
  try {
    const found = await store.head(key, { signal });
    if (found === undefined) return undefined;
    if (found.size > mostBytes) throw new PortError('Damaged', `the result ${name} has ${found.size} bytes; that is no ${writer}'s`, { retryable: false });
    return JSON.parse(Buffer.from(await store.get(key, { signal })).toString('utf8'));
  } catch (error) {
    if (error instanceof StorageError) throw new PortError(error.code, `the result ${name} could not be read: ${error.message}`, { retryable: error.retryable, cause: error });
    if (error instanceof SyntaxError) throw new PortError('Damaged', `the result ${name} is no JSON`, { retryable: false, cause: error });
    throw error;
  }
}
