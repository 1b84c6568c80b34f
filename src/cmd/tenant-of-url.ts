import type { RepositoryOptions } from './command-options.ts';
import { UsageError } from './usage-error.ts';

const TENANT_IN_PATH = /\/tenants\/([0-9a-f]{32})\/g([1-9][0-9]{0,8})\/?$/;

/**
 * Whose repository the options name: `--tenant`, or where the URL ends as in a bucket of the operator's
 * (`…/tenants/<tenantId>/g<generation>`). `undefined` where neither says so.
 * @throws {UsageError} when the two disagree.
 */
export function tenantOf(options: Pick<RepositoryOptions, 'repository' | 'tenant'>): { readonly id: string; readonly generation: number } | undefined {
  const path = URL.canParse(options.repository) ? new URL(options.repository).pathname : '';
  const [, id, generation] = TENANT_IN_PATH.exec(path) ?? [];
  if (id === undefined) return options.tenant === undefined ? undefined : { id: options.tenant, generation: 1 };
  if (options.tenant !== undefined && options.tenant !== id) {
    throw new UsageError(`--tenant ${options.tenant}: the URL names the tenant ${id}; leave --tenant out, or correct one of them`);
  }
  return { id, generation: Number(generation) };
}
