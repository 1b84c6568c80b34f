import type { CollectOrders } from '../../api/index.ts';
import { StorageError, type VersionedObject } from '../../storage/index.ts';
import { inParallel } from '../in-parallel.ts';
import { RESULTS_KEPT_MS } from '../old-results.ts';
import { assertSameTime } from './clocks.ts';
import { announcement } from './doubts.ts';
import { decodeLedger, newestLedger, parseLedgerName, type Ledger } from './ledger.ts';
import { lockedUntil } from './lock-terms.ts';
import { tenantKeyOf, type Part } from './tenant-keys.ts';
import type { TenantListing } from './tenant-listings.ts';
import type { VersionedStore } from './work.ts';

const PARALLEL_REMOVALS = 16;
/** What restores from the replica leave there: no lock holds it, and no ledger knows of it. */
const PASSING = /^(?:g[1-9][0-9]*\/(?:locks|results|prune)|imports)\//;
/** Of a tenant that is let go of only a restore that runs right now still reads it. */
const PASSING_OF_RELEASED_MS = 3_600_000;

export interface CollectPlan {
  /** To go now, by keys below the tenant's prefix, in this order. */
  readonly parts: readonly (readonly VersionedObject[])[];
  /** Unneeded, and not to go yet. */
  readonly waiting: number;
}

/**
 * What may go of one tenant's replica, and in which order: what nothing has needed for as long as a lock is held, manifests and snapshots first, then index
 * files, and packs in a later run, when nothing is left that was given up before them and might refer to them. A tenant whose source is not itself, and one that no
 * replication has looked at, keeps everything.
 */
export function planCollection(there: readonly VersionedObject[], ledger: Ledger | undefined, { lock }: Pick<CollectOrders, 'lock'>, now: Date): CollectPlan {
  // What lies beside a ledger that cannot be read may be the last one that can.
  if (ledger === undefined) return { parts: [], waiting: 0 };
  const newest = newestLedger(there);
  const superseded = there.filter((object) => (object.key !== newest?.key && parseLedgerName(object.key) !== undefined) || announcement(object, newest) === 'settled');
  if (ledger.diverged || ledger.unsettledSince !== undefined) return { parts: [superseded], waiting: 0 };
  const since = new Map(ledger.unneeded.flatMap((group) => group.names.map((name) => [name, Date.parse(group.since)] as const)));
  for (const { names } of ledger.needed) for (const name of names) since.delete(name);
  const unneeded = there.filter(({ key }) => since.has(key));
  const isFree = ({ key }: VersionedObject): boolean => lockedUntil(key, lock, new Date(since.get(key) ?? now)).getTime() + 1000 <= now.getTime();
  const ofParts = (...parts: Part[]): VersionedObject[] => unneeded.filter(({ key }) => parts.includes(tenantKeyOf(key)?.part ?? 'trail'));
  const referring = ofParts('index', 'snapshots', 'manifests');
  const mayBeReferredTo = ({ key }: VersionedObject): boolean =>
    referring.some((other) => tenantKeyOf(other.key)?.generation === tenantKeyOf(key)?.generation && (since.get(other.key) ?? 0) <= (since.get(key) ?? 0));
  const parts = [
    ofParts('manifests').filter(isFree),
    ofParts('snapshots').filter(isFree),
    ofParts('index').filter(isFree),
    ofParts('exports', 'trail', 'wrappings').filter(isFree),
    ofParts('data', 'keys', 'config').filter((object) => isFree(object) && !mayBeReferredTo(object)),
    superseded,
  ];
  return { parts, waiting: unneeded.length - parts.slice(0, -1).flat().length };
}

export interface CollectedTenant {
  /** Versions and delete markers that went, or would. */
  readonly removed: number;
  /** Objects that a lock still holds, though the ledger thought them free. */
  readonly stillLocked: number;
  readonly waiting: number;
}

/** Removes what the plan names, every version of it; a part after the other, so that whenever it stops the replica is valid. */
export async function collectTenant(
  replica: VersionedStore,
  { tenant, there }: Pick<TenantListing, 'tenant' | 'there'>,
  orders: Pick<CollectOrders, 'lock' | 'dryRun'> & { readonly released: readonly string[] },
  { now, signal, mayBegin }: { readonly now: Date; readonly signal: AbortSignal; readonly mayBegin: () => boolean },
): Promise<CollectedTenant> {
  assertSameTime(replica, now);
  const name = newestLedger(there);
  // A night with nothing to collect costs listings alone.
  const isIdle = name?.isIdle === true && !there.some(({ key }) => key !== name.key && key.startsWith('ledger/'));
  const ledger = name === undefined || isIdle ? undefined : decodeLedger(await replica.versions.get(`${tenant}/${name.key}`, name.versionId, { signal }), tenant);
  const plan = planCollection(there, ledger, orders, now);
  const passed = passedBy(there, orders.released.includes(tenant) ? Math.min(PASSING_OF_RELEASED_MS, orders.lock.retainForMs) : RESULTS_KEPT_MS, now);
  let removed = 0;
  let stillLocked = 0;
  for (const part of [...plan.parts, passed]) {
    // What a lock holds back may be referred to by what it holds: nothing later goes.
    if (stillLocked > 0) break;
    await inParallel(part, PARALLEL_REMOVALS, async ({ key, versions, markers }) => {
      if (!mayBegin()) return;
      try {
        for (const versionId of [...versions.map((version) => version.versionId), ...markers]) {
          if (!orders.dryRun) await replica.versions.remove(`${tenant}/${key}`, versionId, { signal });
          removed += 1;
        }
      } catch (error) {
        if (!isLocked(error)) throw error;
        stillLocked += 1;
      }
    });
  }
  return { removed, stillLocked, waiting: plan.waiting };
}

function passedBy(there: readonly VersionedObject[], after: number, now: Date): VersionedObject[] {
  return there.filter(({ key, versions }) => PASSING.test(key) && (versions.at(-1)?.modifiedAt?.getTime() ?? 0) + after <= now.getTime());
}

function isLocked(error: unknown): boolean {
  return error instanceof StorageError && (error.code === 'Locked' || error.code === 'AccessDenied');
}
