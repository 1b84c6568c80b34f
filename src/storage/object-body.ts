import type { ObjectBody, PutOptions } from './object-store.ts';
import { StorageError } from './errors.ts';

/** The buffers of a body, in order. */
export function bodyParts(body: ObjectBody): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body;
}

/** Bytes in a body. */
export function bodySize(body: ObjectBody): number {
  if (body instanceof Uint8Array) return body.byteLength;
  return body.reduce((sum, part) => sum + part.byteLength, 0);
}

/** Where a range of an object of `size` bytes begins and how long it is; a range that reaches past the end is an error. */
export function resolveRange(
  key: string,
  size: number,
  range: { readonly offset: number; readonly length: number } | undefined,
): { offset: number; length: number } {
  if (range === undefined) return { offset: 0, length: size };
  if (range.offset + range.length > size) {
    throw truncated(key, range.length, Math.max(0, size - range.offset));
  }
  return { offset: range.offset, length: range.length };
}

export function truncated(key: string, expected: number, got: number): StorageError {
  return new StorageError('Truncated', `${key} is cut short: ${expected} bytes were expected, ${got} are there; the object is damaged`, {
    retryable: false,
    context: { key, expected, got },
  });
}

export function notFound(key: string, location: string, cause?: unknown): StorageError {
  return new StorageError('NotFound', `${key} does not exist in ${location}`, { retryable: false, context: { key, location }, cause });
}

export function alreadyExists(key: string, location: string, cause?: unknown): StorageError {
  return new StorageError('AlreadyExists', `${key} already exists in ${location}; it is not written over`, {
    retryable: false,
    context: { key, location },
    cause,
  });
}

/** Turns a set signal into the error every store throws for it. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw aborted(what, signal.reason);
}

export function aborted(what: string, cause?: unknown): StorageError {
  return new StorageError('Aborted', `${what} was cancelled`, { retryable: false, cause });
}

/** The error of a deletion that left some keys behind: names the first and counts the rest. */
export function deletionFailure(failures: readonly { readonly key: string; readonly error: StorageError }[], total: number): StorageError {
  const first = failures[0];
  if (first === undefined) throw new TypeError('a deletion failure needs at least one failed key');
  return new StorageError(
    first.error.code,
    `${failures.length} of ${total} objects could not be deleted, the first is ${first.key}: ${first.error.message}`,
    {
      retryable: failures.every(({ error }) => error.retryable),
      context: { key: first.key, failed: failures.length, total },
      cause: first.error,
    },
  );
}

/** For stores that have no locks. */
export function refuseRetention(key: string, location: string, options: PutOptions): void {
  if (options.retention === undefined) return;
  throw new StorageError('Unsupported', `${key} cannot be locked: ${location} has no Object Lock; use an S3 bucket that was created with it`, {
    retryable: false,
    context: { key, location },
  });
}
