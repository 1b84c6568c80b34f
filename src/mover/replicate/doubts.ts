import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { canonicalJson, parseCanonicalJson, StorageError, type VersionedObject } from '../../storage/index.ts';
import { promisedHash } from '../content-name.ts';
import { inParallel } from '../in-parallel.ts';
import { isLater, type Ledger, type StoredLedger } from './ledger.ts';
import { isSound } from './service-copier.ts';
import { nameInGeneration } from './tenant-keys.ts';
import type { ReplicaState } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

/** Put before the service is asked for the first copy: who dies before it has compared the hashes leaves word of what is not proven. */
const Announced = z.strictObject({ version: z.literal(1), tenant: z.string(), names: z.array(z.string()) });
const NAME = /^ledger\/([0-9]{6,15})-copying-[0-9a-f]{16}\.json$/;

/** Whether it is such an announcement, and one that a ledger has settled: that of its revision, or a later one. */
export function announcement({ key, versions }: VersionedObject, ledger: StoredLedger | undefined): 'open' | 'settled' | undefined {
  const rev = NAME.exec(key)?.[1];
  if (rev === undefined) return undefined;
  const storedAt = versions[0]?.modifiedAt?.getTime() ?? 0;
  return ledger !== undefined && !isLater({ rev: Number(rev), storedAt }, ledger) ? 'settled' : 'open';
}

/** @param rev - of the ledger that this run will write */
export async function announceCopies({ replica, signal }: ReplicationWork, tenant: string, rev: number, names: readonly string[]): Promise<void> {
  const key = `ledger/${String(rev).padStart(6, '0')}-copying-${randomBytes(8).toString('hex')}.json`;
  await replica.within(tenant).put(key, canonicalJson({ version: 1, tenant, names: [...names] }), { ifAbsent: true, signal });
}

/** Announcements that no ledger has settled. */
export function openAnnouncements(listed: readonly VersionedObject[], ledger: StoredLedger | undefined): string[] {
  return listed.filter((object) => announcement(object, ledger) === 'open').map(({ key }) => key);
}

/**
 * The objects of the replica of which nobody knows yet whether the service's copy is what its name says.
 * @param ledger - `unreadable`: there is one, and somebody wrote over it, so that any object may be such a copy
 */
export async function doubted(work: ReplicationWork, tenant: string, announcements: readonly string[], ledger: Ledger | 'unreadable' | undefined, { objects }: ReplicaState): Promise<string[]> {
  if (ledger === 'unreadable') return [...objects.keys()];
  const names = new Set(ledger?.unproven);
  for (const key of announcements) {
    const announced = await readAnnouncement(work, tenant, key);
    // Somebody wrote over it: then anything may have been copied.
    for (const name of announced ?? objects.keys()) names.add(name);
  }
  return [...names].filter((name) => objects.has(name));
}

/**
 * What is in the replica and no ledger names: a run that was killed put it, or somebody who knew what was to come, since nothing is copied that is there. Such an object is
 * compared before it counts: with its name, or, where that says nothing of its content, with the source.
 */
export function newcomers(ledger: Ledger | 'unreadable' | undefined, { objects }: ReplicaState): string[] {
  if (ledger === 'unreadable') return [];
  const known = new Set([...(ledger?.needed ?? []), ...(ledger?.unneeded ?? [])].flatMap(({ names }) => names));
  return [...objects.keys()].filter((key) => !known.has(key));
}

export interface Proven {
  /** Versions that are not what their name says, by name. */
  readonly unsound: ReadonlyMap<string, readonly string[]>;
  /** The window ended before their turn came. */
  readonly unproven: readonly string[];
}

/** Compares the hashes of what an earlier run left unproven. */
export async function proveCopies(work: ReplicationWork, tenant: string, names: readonly string[], { objects }: ReplicaState): Promise<Proven> {
  const unsound = new Map<string, string[]>();
  const unproven: string[] = [];
  await inParallel(names, work.concurrency, async (key) => {
    const version = objects.get(key);
    if (version === undefined) return;
    if (!work.mayBegin()) unproven.push(key);
    else if (!(await isWhatItShouldBe(work, tenant, key, version.versionId))) unsound.set(key, [version.versionId]);
  });
  return { unsound, unproven: unproven.sort() };
}

async function isWhatItShouldBe({ source, replica, signal }: ReplicationWork, tenant: string, key: string, versionId: string): Promise<boolean> {
  const path = `${tenant}/${key}`;
  if (promisedHash(nameInGeneration(key)) !== undefined) return isSound(replica.versions, { path, key, versionId }, signal);
  try {
    const [here, there] = await Promise.all([source.get(path, { signal }), replica.versions.get(path, versionId, { signal })]);
    return Buffer.from(here).equals(there);
  } catch (error) {
    // What the source has not, or no longer, is nothing to compare with: losses are judged elsewhere.
    if (error instanceof StorageError && error.code === 'NotFound') return true;
    throw error;
  }
}

async function readAnnouncement({ replica, signal }: ReplicationWork, tenant: string, key: string): Promise<readonly string[] | undefined> {
  try {
    const bytes = await replica.within(tenant).get(key, { signal });
    const read = Announced.safeParse(parseCanonicalJson(bytes));
    return read.success && read.data.tenant === tenant ? read.data.names : undefined;
  } catch (error) {
    if (error instanceof StorageError && error.code !== 'NotFound') throw error;
    return undefined;
  }
}
