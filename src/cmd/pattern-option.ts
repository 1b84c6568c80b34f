import * as z from 'zod';
import { compileGlobs } from '../restic/fs/glob.ts';

/** One `--include` or `--exclude`, in restic's syntax. A malformed one is refused before anything is opened. */
export const Pattern = z
  .string()
  .min(1)
  .superRefine((pattern, context) => {
    try {
      compileGlobs([pattern]);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  });
