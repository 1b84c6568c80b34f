// A tenant's part of the source as its movers would have left it, of bytes that only a key could tell from real ones.
import { hash, randomBytes } from 'node:crypto';
import type { ReplicationLock } from '../../src/api/index.ts';
import { ByteBudget } from '../../src/mover/byte-budget.ts';
import { sealManifest } from '../../src/mover/manifest.ts';
import { eachTenant, type ShardOutcome } from '../../src/mover/replicate/replicate-shard.ts';
import { replicateTenant } from '../../src/mover/replicate/replicate-tenant.ts';
import { versioned } from '../../src/mover/replicate/replicate-location.ts';
import type { ReplicationWork } from '../../src/mover/replicate/work.ts';
import { canonicalJson, type ObjectStore } from '../../src/storage/index.ts';
import { LockedMemoryStore } from './locked-memory-store.ts';

export const DAY = 86_400_000;
export const LOCK: ReplicationLock = { mode: 'COMPLIANCE', retainForMs: 30 * DAY };

export interface FakeSnapshot {
  readonly id: string;
  readonly packs: readonly string[];
}

export class FakeTenant {
  readonly id: string;
  readonly snapshots: FakeSnapshot[] = [];
  readonly #store: ObjectStore;
  readonly #now: () => Date;
  readonly #foundations: { name: string; size: number }[] = [];
  #results = 0;

  /** @param store at the location's prefix */
  constructor(store: ObjectStore, now: () => Date, id: string = randomBytes(16).toString('hex')) {
    this.id = id;
    this.#store = store.within(`tenants/${id}`);
    this.#now = now;
  }

  async begin(): Promise<this> {
    await this.#store.put('tenant/1.json', canonicalJson({ version: 1, rev: 1 }));
    await this.#store.put('audit/000000000001.json', canonicalJson({ seq: 1 }));
    const wrapping = await this.#content('wrappings', '.json');
    await this.#store.put('g1/wrappings/first.json', canonicalJson({ version: 1, tenant: this.id, generation: 1, wrappings: [wrapping] }));
    const key = await this.#content('keys');
    await this.#store.put('g1/config', Buffer.from(`config of ${this.id}`));
    this.#foundations.push({ name: 'config', size: 42 }, { name: `keys/${key}`, size: 100 }, { name: `wrappings/${wrapping}.json`, size: 100 });
    return this;
  }

  async backup(packs = 3): Promise<FakeSnapshot> {
    const data = await Promise.all(Array.from({ length: packs }, () => this.#content('data')));
    const index = await this.#content('index');
    const exported = await this.#content('exports');
    const id = await this.#content('snapshots');
    const files = [`snapshots/${id}`, `exports/${exported}`, `index/${index}`, ...data.map((pack) => `data/${pack.slice(0, 2)}/${pack}`)].map((name) => ({ name, size: 100 }));
    const content = { tenant: this.id, generation: 1, snapshot: id, rev: 1, createdAt: this.#now().toISOString(), complete: true, files: [...this.#foundations, ...files] };
    await this.#store.put(`g1/manifests/${id}/1.json`, sealManifest(content, () => new Uint8Array(32)).bytes);
    const snapshot = { id, packs: data };
    this.snapshots.push(snapshot);
    return snapshot;
  }

  /** As a mover that forgets and prunes: the snapshot, its packs, its manifest, and a result that says so. */
  async forget(snapshot: FakeSnapshot, says = true): Promise<void> {
    await this.#store.delete(`g1/snapshots/${snapshot.id}`);
    for (const pack of snapshot.packs) await this.#store.delete(`g1/data/${pack.slice(0, 2)}/${pack}`);
    await this.#store.delete(`g1/manifests/${snapshot.id}/1.json`);
    this.snapshots.splice(this.snapshots.indexOf(snapshot), 1);
    this.#results += 1;
    if (says) await this.#store.put(`g1/results/uid-${this.#results}.json`, canonicalJson({ version: 1, task: 'forget', forget: { removed: [snapshot.id], bytesFreed: 1 } }));
  }

  keys(): Promise<string[]> {
    return keysOf(this.#store);
  }

  async #content(folder: string, suffix = ''): Promise<string> {
    const bytes = randomBytes(100);
    const name = hash('sha256', bytes, 'hex');
    await this.#store.put(folder === 'data' ? `g1/data/${name.slice(0, 2)}/${name}` : `g1/${folder}/${name}${suffix}`, bytes);
    return name;
  }
}

export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

export function replicationWork(source: ObjectStore, replica: ObjectStore, now: () => Date, changes: Partial<ReplicationWork> = {}): ReplicationWork {
  return {
    source: source.within('tenants'),
    replica: versioned(replica.within('tenants')),
    lock: LOCK,
    released: new Set(),
    concurrency: 8,
    budget: new ByteBudget(1 << 26),
    pace: () => Promise.resolve(),
    mayBegin: () => true,
    tally: { objects: 0, bytes: 0, byService: 0, extended: 0 },
    signal: new AbortController().signal,
    now,
    ...changes,
  };
}

/** Two data centers, with a tenant in the first that has so many backups. */
export async function dataCenters(now: () => Date, backups: number): Promise<{ source: LockedMemoryStore; replica: LockedMemoryStore; tenant: FakeTenant }> {
  const [source, replica] = [new LockedMemoryStore('a', now), new LockedMemoryStore('b', now)];
  const tenant = await new FakeTenant(source, now).begin();
  for (let made = 0; made < backups; made += 1) await tenant.backup();
  return { source, replica, tenant };
}

/** A night: one shard of everything. */
export function night(work: ReplicationWork): Promise<ShardOutcome> {
  return eachTenant(work, { shard: 0, shards: 1, tenants: undefined }, (listing) => replicateTenant(work, listing));
}
