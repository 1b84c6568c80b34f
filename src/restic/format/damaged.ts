import { EngineError } from '../errors.ts';

/**
 * The error for bytes of a repository that are not what the format says.
 * @param what - the object, e.g. `index 4f3a…`; the message goes on with why and what to do
 */
export function damaged(what: string, why: string, cause?: unknown): EngineError {
  return new EngineError(
    'Damaged',
    `${what} is damaged: ${why}. Run \`check --read-data\` to find out what else is; bring the object back from another copy of the repository, or keep what can be restored with \`restore --skip-damaged\` and back up anew (docs/errors.md, "When something is damaged").`,
    { context: { object: what }, cause },
  );
}
