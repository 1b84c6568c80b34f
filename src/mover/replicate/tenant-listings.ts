import { compareKeys, type ObjectInfo, type ObjectStore, type ObjectVersions, type VersionedObject } from '../../storage/index.ts';
import { readAhead } from '../read-ahead.ts';
import { keyBeforeShard, shardOf } from './shard.ts';

/** More than a page of S3, so that the next one is on its way while this one is compared. */
const LISTED_AHEAD = 1001;
const TENANT_KEY = /^([0-9a-f]{32})\/(.+)$/;

/** All that lies below one tenant's prefix in both places, by keys below it, in their order. */
export interface TenantListing {
  readonly tenant: string;
  readonly here: readonly ObjectInfo[];
  readonly there: readonly VersionedObject[];
}

export interface ListedPlaces {
  /** Both at `<prefix>/tenants/`. */
  readonly source: ObjectStore;
  readonly replica: ObjectVersions;
  readonly signal?: AbortSignal | undefined;
}

export interface ShardRange {
  readonly shard: number;
  readonly shards: number;
}

/** The shard's tenants of either place, in order of their ids. One listing a thousand objects and place, however many tenants there are. */
export async function* listShard({ source, replica, signal }: ListedPlaces, range: ShardRange): AsyncGenerator<TenantListing> {
  const startAfter = keyBeforeShard(range.shard, range.shards);
  const options = { signal, ...(startAfter === undefined ? {} : { startAfter }) };
  const here = grouped(readAhead(source.list('', options), LISTED_AHEAD), range);
  const there = grouped(readAhead(replica.list('', options), LISTED_AHEAD), range);
  try {
    let [nextHere, nextThere] = await Promise.all([here.next(), there.next()]);
    while (nextHere.done !== true || nextThere.done !== true) {
      const [a, b] = [nextHere.done === true ? undefined : nextHere.value, nextThere.done === true ? undefined : nextThere.value];
      const tenant = a === undefined ? b?.tenant : b === undefined || compareKeys(a.tenant, b.tenant) <= 0 ? a.tenant : b.tenant;
      if (tenant === undefined) return;
      const [inHere, inThere] = [a?.tenant === tenant, b?.tenant === tenant];
      yield { tenant, here: inHere ? (a?.objects ?? []) : [], there: inThere ? (b?.objects ?? []) : [] };
      [nextHere, nextThere] = await Promise.all([inHere ? here.next() : nextHere, inThere ? there.next() : nextThere]);
    }
  } finally {
    await Promise.all([here.return(undefined), there.return(undefined)]);
  }
}

/** One tenant, listed by itself. */
export async function listTenant({ source, replica, signal }: ListedPlaces, tenant: string): Promise<TenantListing> {
  const [here, there] = await Promise.all([collect(source.list(`${tenant}/`, { signal }), tenant), collect(replica.list(`${tenant}/`, { signal }), tenant)]);
  return { tenant, here, there };
}

async function collect<T extends { readonly key: string }>(listed: AsyncIterable<T>, tenant: string): Promise<T[]> {
  const objects: T[] = [];
  for await (const object of listed) objects.push({ ...object, key: object.key.slice(tenant.length + 1) });
  return objects;
}

async function* grouped<T extends { readonly key: string }>(listed: AsyncIterable<T>, { shard, shards }: ShardRange): AsyncGenerator<{ readonly tenant: string; readonly objects: readonly T[] }> {
  let tenant: string | undefined;
  let objects: T[] = [];
  for await (const object of listed) {
    const [, id, key] = TENANT_KEY.exec(object.key) ?? [];
    // Nobody of ours puts anything else there; it is not ours to copy.
    if (id === undefined || key === undefined) continue;
    if (shardOf(id, shards) > shard) break;
    if (tenant !== undefined && tenant !== id) {
      yield { tenant, objects };
      objects = [];
    }
    tenant = id;
    objects.push({ ...object, key });
  }
  if (tenant !== undefined) yield { tenant, objects };
}
