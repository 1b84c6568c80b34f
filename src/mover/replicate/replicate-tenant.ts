import type { ReplicaFinding, ReplicatedTenant } from '../../api/index.ts';
import { StorageError, type ObjectInfo } from '../../storage/index.ts';
import { closureGaps } from './closure.ts';
import { copyTenant, type CopiedTenant } from './copy-tenant.ts';
import { extendLocks } from './extend-locks.ts';
import { forgottenSnapshots } from './forgotten.ts';
import { decodeLedger, digestOf, newestLedger, NO_DIGEST, type Ledger, type LedgerName } from './ledger.ts';
import { dueFrom } from './lock-terms.ts';
import { findingOf, findLosses, wholeSnapshots, type Losses } from './losses.ts';
import { nextLedger, putLedger } from './next-ledger.ts';
import { listTenant, type TenantListing } from './tenant-listings.ts';
import { nameInGeneration, tenantKeyOf } from './tenant-keys.ts';
import { remembered, replicaState, replicatedObjects, type Remembered, type ReplicaState } from './tenant-state.ts';
import type { ReplicationWork, TenantOutcome } from './work.ts';

/** How often a tenant is listed anew whose source changes under the copy. */
const MOST_TRIES = 3;

/** Brings one tenant's replica up to its source, as far as that is to be believed (`docs/decisions`, "What the replica believes"). */
export async function replicateTenant(work: ReplicationWork, listing: TenantListing): Promise<TenantOutcome> {
  const quiet = quietOutcome(work, listing);
  if (quiet !== undefined) return quiet;
  let listed = listing;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await replicateListed(work, listed, attempt === MOST_TRIES);
    if (outcome !== 'changed') return outcome;
    listed = await listTenant({ source: work.source, replica: work.replica.versions, signal: work.signal }, listing.tenant);
  }
}

/** What a listing and a ledger's name tell where nothing is new, nothing is missing and no lock is due. */
function quietOutcome({ lock, now }: ReplicationWork, { tenant, here, there }: TenantListing): TenantOutcome | undefined {
  const name = newestLedger(there.map(({ key }) => key));
  if (name === undefined || name.dueAt * 1000 <= now().getTime()) return undefined;
  const objects = replicatedObjects(here);
  if (digestOf(objects, lock) !== name.digest) return undefined;
  const { objects: present, tampered } = replicaState(there);
  if (tampered.length > 0 || objects.some(({ key, size }) => present.get(key)?.size !== size)) return undefined;
  return { tenant: tenantOf({ tenant, keys: objects.map(({ key }) => key), upTo: name.upTo * 1000, state: 'done' }), findings: [] };
}

async function replicateListed(work: ReplicationWork, listing: TenantListing, isLastTry: boolean): Promise<TenantOutcome | 'changed'> {
  const { tenant } = listing;
  const state = replicaState(listing.there);
  const name = newestLedger(listing.there.map(({ key }) => key));
  const ledger = name === undefined ? undefined : await readLedger(work, tenant, name);
  const memory = remembered(ledger, state, work.lock);
  const source = await settled(work, tenant, replicatedObjects(listing.here), state);
  const losses = await lossesOf(work, { listing, source, state, memory, ledger });

  const extended = await extendLocks(work, tenant, dueNow(work, losses.keeps(memory)), state);
  const lacking = source.filter(({ key }) => !state.objects.has(key));
  const there = new Set(state.objects.keys());
  const copied = await copyTenant(work, tenant, lacking, there);
  if (copied.vanished.length + copied.incomplete.length > 0 && copied.altered.length === 0 && !isLastTry && work.mayBegin()) return 'changed';

  const findings = [...losses.findings, ...copyFindings(tenant, copied)];
  const isDiverged = findings.some(({ kind }) => kind !== 'Tampered');
  const isWhole = copied.isWhole && extended.isWhole && copied.vanished.length === 0;
  const next = nextLedger({
    tenant,
    rev: (name?.rev ?? 0) + 1,
    now: work.now(),
    lock: work.lock,
    source,
    there,
    memory,
    until: new Map([...extended.until, ...copied.put]),
    givesUp: !isDiverged && losses.unsettledSince === undefined && isWhole,
    isDiverged,
    unsettledSince: losses.unsettledSince,
    upTo: Math.max((name?.upTo ?? 0) * 1000, copied.upTo),
    digest: isDiverged || !isWhole || losses.unsettledSince !== undefined ? NO_DIGEST : digestOf(source, work.lock),
  });
  await putLedger(work, tenant, next, name === undefined || ledger === undefined ? undefined : { name, ledger });
  const waits = !isWhole || losses.unsettledSince !== undefined;
  const keys = source.map(({ key }) => key).filter((key) => there.has(key));
  return { tenant: tenantOf({ tenant, keys, upTo: next.upTo, state: isDiverged ? 'diverged' : waits ? 'waiting' : 'done' }), findings };
}

/**
 * A listing comes in order of keys: packs before the index files and snapshots that refer to them. Where any of those is new, index and packs are listed
 * once more, so that whatever a listed object refers to is listed too.
 */
async function settled({ source, signal }: ReplicationWork, tenant: string, listed: readonly ObjectInfo[], { objects }: ReplicaState): Promise<ObjectInfo[]> {
  const referring = new Set(['index', 'snapshots', 'manifests']);
  const generations = new Set<number>();
  for (const { key } of listed) {
    const known = tenantKeyOf(key);
    if (known?.generation !== undefined && referring.has(known.part) && !objects.has(key)) generations.add(known.generation);
  }
  const found = new Map(listed.map((object) => [object.key, object]));
  for (const generation of generations) {
    for (const folder of ['exports', 'index', 'data']) {
      for await (const object of source.within(tenant).list(`g${generation}/${folder}/`, { signal })) {
        if (tenantKeyOf(object.key) !== undefined) found.set(object.key, object);
      }
    }
  }
  return [...found.values()];
}

interface Observed {
  readonly listing: TenantListing;
  readonly source: readonly ObjectInfo[];
  readonly state: ReplicaState;
  readonly memory: Remembered;
  readonly ledger: Ledger | undefined;
}

interface JudgedLosses extends Pick<Losses, 'findings' | 'unsettledSince'> {
  /** What is to stay locked of what is remembered as needed. */
  readonly keeps: (memory: Remembered) => ReadonlyMap<string, number>;
}

async function lossesOf(work: ReplicationWork, { listing, source, state, memory, ledger }: Observed): Promise<JudgedLosses> {
  const { tenant, here: listed } = listing;
  const here = new Map(source.map(({ key, size }) => [key, size]));
  const before = new Set(memory.needed.keys());
  const whole = wholeSnapshots(here.keys());
  const hasLost = [...wholeSnapshots(before)].some((key) => !whole.has(key));
  const losses = findLosses({
    tenant,
    here,
    there: new Map([...state.objects].map(([key, { size }]) => [key, size])),
    tampered: state.tampered,
    before,
    forgotten: hasLost ? await forgottenSnapshots(work.source.within(tenant), listed, ledger === undefined ? undefined : new Date(ledger.writtenAt), work.signal) : new Set(),
    isBusy: listed.some(({ key }) => /^g[0-9]+\/locks\//.test(key)),
    unsettledSince: ledger?.unsettledSince === undefined ? undefined : new Date(ledger.unsettledSince),
    isReleased: work.released.has(tenant),
    now: work.now(),
  });
  const gaps = losses.mustCloseOver ? await closureGaps(work, tenant, here) : [];
  const findings = gaps.length === 0 ? losses.findings : [...losses.findings, findingOf(tenant, 'Missing', gaps, `manifests of the source name ${gaps.length} objects that the source has lost. The replica keeps them, under lock. Find out what happened to the source.`)];
  const keepsAll = losses.unsettledSince !== undefined || findings.some(({ kind }) => kind !== 'Tampered');
  return { findings, unsettledSince: losses.unsettledSince, keeps: ({ needed }) => (keepsAll ? needed : new Map([...needed].filter(([key]) => here.has(key)))) };
}

function dueNow({ lock, now }: ReplicationWork, locked: ReadonlyMap<string, number>): string[] {
  const time = now().getTime();
  return [...locked].filter(([key, until]) => dueFrom(key, until, lock) <= time).map(([key]) => key);
}

function copyFindings(tenant: string, { altered, incomplete }: CopiedTenant): ReplicaFinding[] {
  const findings: ReplicaFinding[] = [];
  if (altered.length > 0) findings.push(findingOf(tenant, 'Altered', altered, `${altered.length} objects of the source do not have the content that their names say (the first is ${nameInGeneration(altered[0] ?? '')}). They were not copied, nor what may need them. Run check --read-data on the source.`));
  if (incomplete.length > 0) findings.push(findingOf(tenant, 'Incomplete', incomplete, `${incomplete.length} manifests of the source name objects that the source does not have. They were not copied. Run check on the source.`));
  return findings;
}

function tenantOf({ tenant, keys, upTo, state }: { readonly tenant: string; readonly keys: readonly string[]; readonly upTo: number; readonly state: ReplicatedTenant['state'] }): ReplicatedTenant {
  const snapshots = [...wholeSnapshots(keys)].map((key) => tenantKeyOf(key)?.snapshot ?? '').sort();
  return { tenant, state, snapshots, ...(upTo === 0 ? {} : { replicatedUpTo: new Date(upTo).toISOString() }) };
}

/** A ledger that somebody wrote over is not believed: what was put first counts. */
async function readLedger({ replica, signal }: ReplicationWork, tenant: string, { key }: LedgerName): Promise<Ledger | undefined> {
  try {
    return decodeLedger(await replica.within(tenant).get(key, { signal }), tenant);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NotFound') return undefined;
    throw error;
  }
}
