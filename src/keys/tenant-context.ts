/** The encryption context of every wrapping (`layout.md`), to the letter: policies and admission compare it. */
export interface TenantContext {
  readonly 'tenant-backup/tenant': string;
  /** decimal */
  readonly 'tenant-backup/generation': string;
}

/** @param tenantId 16 random bytes, lower-case hex */
export function tenantContext(tenantId: string, generation: number): TenantContext {
  if (!/^[0-9a-f]{32}$/.test(tenantId)) throw new TypeError('a tenant id has 32 lower-case hex digits');
  if (!Number.isSafeInteger(generation) || generation < 1) throw new TypeError('generations count from 1');
  return { 'tenant-backup/tenant': tenantId, 'tenant-backup/generation': String(generation) };
}
