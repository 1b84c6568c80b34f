/** Tenant ids are random, so that equal ranges of their first eight digits hold about as many tenants each. */
const RANGE = 2 ** 32;

/** Which of `shards` a tenant belongs to, from 0. */
export function shardOf(tenant: string, shards: number): number {
  return Math.floor((Number.parseInt(tenant.slice(0, 8), 16) * shards) / RANGE);
}

/** A key before every tenant of the shard and after every tenant of the one before; `undefined` for the first. A listing starts after it. */
export function keyBeforeShard(shard: number, shards: number): string | undefined {
  if (shard === 0) return undefined;
  return Math.ceil((shard * RANGE) / shards).toString(16).padStart(8, '0');
}
