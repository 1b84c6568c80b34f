import type { ReplicaFinding, ReplicatedTenant } from '../../api/index.ts';
import type { ObjectInfo } from '../../storage/index.ts';
import { assertSameTime } from './clocks.ts';
import { closureGaps } from './closure.ts';
import { copyTenant, type CopiedTenant } from './copy-tenant.ts';
import { openAnnouncements } from './doubts.ts';
import { extendLocks } from './extend-locks.ts';
import { forgottenSnapshots } from './forgotten.ts';
import { digestOf, newestLedger, NO_DIGEST, revAfter, tagOf } from './ledger.ts';
import { dueAtTheLatest, dueFrom } from './lock-terms.ts';
import { findingOf, findLosses, wholeSnapshots, type Losses } from './losses.ts';
import { nextLedger, putLedger } from './next-ledger.ts';
import { observeTenant, type ObservedTenant } from './observed-tenant.ts';
import { readRewritten, rewrittenObjects, type Rewritten } from './source-tags.ts';
import { listTenant, type TenantListing } from './tenant-listings.ts';
import { nameInGeneration, tenantKeyOf } from './tenant-keys.ts';
import { replicaState, replicatedObjects, type Remembered } from './tenant-state.ts';
import type { ReplicationWork, TenantOutcome } from './work.ts';

/** How often a tenant is listed anew whose source changes under the copy. */
const MOST_TRIES = 3;

/** Brings one tenant's replica up to its source, as far as that is to be believed (`docs/decisions`, "What the replica believes"). */
export async function replicateTenant(work: ReplicationWork, listing: TenantListing): Promise<TenantOutcome> {
  assertSameTime(work.replica, work.now());
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
  const name = newestLedger(there);
  if (name === undefined || Math.min(name.dueAt * 1000, dueAtTheLatest(name.storedAt, lock)) <= now().getTime() || openAnnouncements(there, name).length > 0) return undefined;
  const objects = replicatedObjects(here);
  if (digestOf(objects, lock) !== name.digest) return undefined;
  const { objects: present, tampered } = replicaState(there);
  if (tampered.length > 0 || objects.some(({ key, size }) => present.get(key)?.size !== size)) return undefined;
  return { tenant: tenantOf({ tenant, keys: objects.map(({ key }) => key), upTo: name.upTo * 1000, state: 'done' }), findings: [] };
}

async function replicateListed(work: ReplicationWork, listing: TenantListing, isLastTry: boolean): Promise<TenantOutcome | 'changed'> {
  const { tenant } = listing;
  const observed = await observeTenant(work, listing);
  const { source, name, ledger, state, memory, unproven } = observed;
  const losses = await lossesOf(work, observed);

  const extended = await extendLocks(work, tenant, dueNow(work, losses.keeps(memory)), state);
  const lacking = source.filter(({ key }) => !state.objects.has(key));
  const there = new Set(state.objects.keys());
  const rev = revAfter(name);
  const copied = await copyTenant(work, tenant, lacking, { rev, there, unsound: observed.unsound });
  if (copied.vanished.length + copied.incomplete.length > 0 && copied.altered.length === 0 && !isLastTry && work.mayBegin()) return 'changed';

  const findings = [...losses.findings, ...copyFindings(tenant, copied)];
  const isDiverged = findings.some(({ kind }) => kind !== 'Tampered');
  const isWhole = copied.isWhole && extended.isWhole && copied.vanished.length === 0 && unproven.length === 0;
  const next = nextLedger({
    tenant,
    rev,
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
    tags: tagsAfter(source, memory.tags, losses.rewritten),
    unproven,
    unsound: copied.unsound,
  });
  await putLedger(work, tenant, next, name === undefined || ledger === undefined ? undefined : { name, ledger });
  const waits = !isWhole || losses.unsettledSince !== undefined;
  const keys = source.map(({ key }) => key).filter((key) => there.has(key));
  return { tenant: tenantOf({ tenant, keys, upTo: next.upTo, state: isDiverged ? 'diverged' : waits ? 'waiting' : 'done' }), findings };
}

interface JudgedLosses extends Pick<Losses, 'findings' | 'unsettledSince'> {
  /** What is to stay locked of what is remembered as needed. */
  readonly keeps: (memory: Remembered) => ReadonlyMap<string, number>;
  readonly rewritten: Rewritten;
}

async function lossesOf(work: ReplicationWork, { listing, source, state, memory, ledger, planted }: ObservedTenant): Promise<JudgedLosses> {
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
  const rewritten = await readRewritten(work, tenant, work.released.has(tenant) ? [] : rewrittenObjects(source, memory.tags, state), state);
  const findings = [...losses.findings];
  if (planted.length > 0) findings.push(findingOf(tenant, 'Tampered', planted, `${planted.length} objects lay in the replica before they were copied, and are not what they should be. What they should be was put on top. Find out who holds the replica's credentials.`));
  if (gaps.length > 0) findings.push(findingOf(tenant, 'Missing', gaps, `manifests of the source name ${gaps.length} objects that the source has lost. The replica keeps them, under lock. Find out what happened to the source.`));
  const altered = rewritten.isAltered ? [...rewritten.unclear].sort() : [];
  if (altered.length > 0) findings.push(findingOf(tenant, 'Altered', altered, `${altered.length} objects of the source were written anew, although nothing is ever put twice under one name, and what was read of them is not what it was. The replica keeps what they were, under lock. Find out what happened to the source.`));
  const keepsAll = losses.unsettledSince !== undefined || findings.some(({ kind }) => kind !== 'Tampered');
  return { findings, unsettledSince: losses.unsettledSince, rewritten, keeps: ({ needed }) => (keepsAll ? needed : new Map([...needed].filter(([key]) => here.has(key)))) };
}

function dueNow({ lock, now }: ReplicationWork, locked: ReadonlyMap<string, number>): string[] {
  const time = now().getTime();
  return [...locked].filter(([key, until]) => dueFrom(key, until, lock) <= time).map(([key]) => key);
}

/** What is not known to be what it was keeps its old tag, so that it is found the next night, too. */
function tagsAfter(source: readonly ObjectInfo[], before: ReadonlyMap<string, string>, { unclear }: Rewritten): Map<string, string> {
  const tags = new Map(before);
  for (const object of source) {
    const tag = tagOf(object);
    if (tag !== undefined && !unclear.has(object.key)) tags.set(object.key, tag);
  }
  return tags;
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
