import { EngineError, REPAIR } from '../errors.ts';

/**
 * The error for bytes of a repository that are not what the format says.
 * @param what - the object, e.g. `index 4f3a…`; the message goes on with why and what to do
 */
export function damaged(what: string, why: string, cause?: unknown): EngineError {
  return new EngineError(
    'Damaged',
    `${what} is damaged: ${why}. ${REPAIR}.`,
    { context: { object: what }, cause },
  );
}
