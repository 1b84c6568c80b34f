import * as z from 'zod';
// Not of the whole `api`: a bundle would load, and build, the schemas of all resources with it, which takes a tenth of a small backup.
import { TenantId } from '../api/fields.ts';
import { StoreOptions } from './store-access.ts';
import { UsageError } from './usage-error.ts';

/** The options that every command on a repository takes. */
export const RepositoryOptions = StoreOptions.extend({
  repository: z.string().min(1),
  kms: z.array(z.string()).default([]),
  secretKeyFile: z.string().min(1).optional(),
  tenant: TenantId.optional(),
  fromReplica: z.boolean().default(false),
});
export type RepositoryOptions = z.infer<typeof RepositoryOptions>;

/**
 * Reads what commander parsed. commander knows which options there are; the schema says what their values may be.
 * @throws {UsageError} naming the option.
 */
export function readOptions<T>(schema: z.ZodType<T>, options: unknown): T {
  const read = schema.safeParse(options);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  const name = issue?.path[0];
  if (name !== undefined && !isGiven(options, name)) throw new UsageError(`${optionName(name)} is missing (--help says what it takes)`);
  throw new UsageError(`${optionName(name ?? 'options')}: ${issue === undefined ? 'not understood' : wordsOf(issue)}`);
}

function isGiven(options: unknown, name: PropertyKey): boolean {
  return typeof options === 'object' && options !== null && Object.hasOwn(options, name);
}

/** zod's own words where the schema has none are a programmer's. */
function wordsOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'too_small' && issue.origin === 'string' ? 'it must not be empty' : issue.message;
}

function optionName(name: PropertyKey): string {
  return `--${String(name).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
