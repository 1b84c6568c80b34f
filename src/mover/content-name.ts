import { hash } from 'node:crypto';
import { EngineError, REPAIR } from '../restic/errors.ts';

const CONTENT_NAMED = /^(?:keys|wrappings|snapshots|exports|index|data\/[0-9a-f]{2})\/([0-9a-f]{64})(?:\.json)?$/;

/** The SHA-256, in hex, that a file's name promises; `undefined` for the few that are not named by their content (`config`). */
export function promisedHash(name: string): string | undefined {
  return CONTENT_NAMED.exec(name)?.[1];
}

/** Whether bytes are those that the name promises; a name that promises nothing is content with all. */
export function hasPromisedContent(name: string, bytes: Uint8Array): boolean {
  const promised = promisedHash(name);
  return promised === undefined || hash('sha256', bytes, 'hex') === promised;
}

/**
 * Whoever moves files without a key still sees when one was changed.
 * @param where names the store or file for the message
 * @throws {EngineError} `Damaged`.
 */
export function verifyContent(name: string, bytes: Uint8Array, where: string): void {
  if (!hasPromisedContent(name, bytes)) throw damagedContent(name, where);
}

export function damagedContent(name: string, where: string): EngineError {
  return new EngineError('Damaged', `${name} in ${where} is damaged: its content does not have the SHA-256 that its name says. ${REPAIR}`, {
    context: { name, where },
  });
}
