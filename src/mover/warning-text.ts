import type { PathWarning } from '../restic/contract.ts';
import { printable } from './printable.ts';

/** Warnings as a result holds them: `path: message`, control characters escaped. The engine keeps the first hundred of each part. */
export function warningTexts(
  outcomes: readonly { readonly warnings: readonly PathWarning[]; readonly warningCount: number }[],
): { warnings: string[]; warningCount: number } {
  return {
    warnings: outcomes.flatMap(({ warnings }) => warnings.map(({ path, message }) => printable(`${path}: ${message}`))),
    warningCount: outcomes.reduce((all, { warningCount }) => all + warningCount, 0),
  };
}
