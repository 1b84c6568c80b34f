import { hash } from 'node:crypto';
import * as z from 'zod';
import type { ReplicationLock } from '../../api/index.ts';
import { canonicalJson, parseCanonicalJson, type ObjectInfo, type VersionedObject } from '../../storage/index.ts';

/** How the source's listing marked each name's content when it was last looked at: eight characters a name, in their order; `--------` where it did not. */
const Tags = z.string().regex(/^(?:[0-9a-f]{8}|-{8})*$/);
export const NO_TAG = '--------';

/** What the ledger keeps of a listing's ETag: enough to see that it changed. Services put quotes around it, as they are or as an entity. */
export function tagOf({ etag = '' }: Pick<ObjectInfo, 'etag'>): string | undefined {
  const bare = etag.replace(/"|&quot;|&#34;/g, '');
  return bare === '' ? undefined : hash('sha256', bare, 'hex').slice(0, NO_TAG.length);
}

/**
 * What the replicator remembers of a tenant: until when its objects in the replica are locked, and since when nothing needs which. It lies in the replica,
 * without a lock, and decides nothing that the bucket could not say: who loses it extends each lock once more, and collects later. Whoever can put objects there can
 * put a ledger, so no time in it is believed that is later than one of ours can be.
 */
const Ledger = z.strictObject({
  version: z.literal(1),
  tenant: z.string(),
  rev: z.int().min(1),
  writtenAt: z.iso.datetime(),
  /** What the source has, or had when it was last itself, by the end of its lock. */
  needed: z.array(z.strictObject({ until: z.iso.datetime(), names: z.array(z.string()), tags: Tags.optional() })),
  /** What the source gave up, by when that was seen. */
  unneeded: z.array(z.strictObject({ since: z.iso.datetime(), names: z.array(z.string()) })),
  /** Snapshots that are gone without a word of why, while somebody works on the source; by when that was first seen. */
  unsettledSince: z.iso.datetime().optional(),
  /** The source is not what it was: nothing is given up, and nothing may be collected. */
  diverged: z.boolean(),
  /** Copies that the service made and nobody has compared with their names yet. */
  unproven: z.array(z.string()).optional(),
  /** Versions that the service made and that are not what their names say: they do not count as there. */
  unsound: z.array(z.strictObject({ name: z.string(), versions: z.array(z.string()) })).optional(),
});
export type Ledger = z.infer<typeof Ledger>;

const NAME = /^ledger\/([0-9]{6,15})-([0-9a-f]{16})-([0-9]{10,12})-([0-9]{1,12})(-idle)?\.json$/;

/** A ledger's name says enough that a quiet night need not read it. */
export interface LedgerName {
  readonly key: string;
  readonly rev: number;
  /** Of the source's listing and the terms; `NO_DIGEST` where there is work left. */
  readonly digest: string;
  /** When the next lock has to be extended, seconds since the epoch. */
  readonly dueAt: number;
  /** When the newest replicated snapshot was taken, seconds since the epoch; 0 for none. */
  readonly upTo: number;
  /** Nothing is unneeded: a collector has nothing to read. */
  readonly isIdle: boolean;
}

/** One that lies in the replica. */
export interface StoredLedger extends LedgerName {
  /** What was put first under the name. */
  readonly versionId: string;
  /** When that was, by the service's own clock, milliseconds since the epoch. */
  readonly storedAt: number;
}

/** As many digits as a name takes. */
const MOST_REVS = 999_999_999_999_999;

export const NO_DIGEST = '0'.repeat(16);

export function ledgerName({ rev, digest, dueAt, upTo, isIdle }: Omit<LedgerName, 'key'>): string {
  return `ledger/${String(rev).padStart(6, '0')}-${digest}-${String(dueAt).padStart(10, '0')}-${upTo}${isIdle ? '-idle' : ''}.json`;
}

export function parseLedgerName(key: string): LedgerName | undefined {
  const [, rev, digest, dueAt, upTo, idle] = NAME.exec(key) ?? [];
  if (rev === undefined || digest === undefined) return undefined;
  return { key, rev: Number(rev), digest, dueAt: Number(dueAt), upTo: Number(upTo), isIdle: idle !== undefined };
}

/** Of those that are listed, the one that was stored last. Numbers order what one second stored: by them alone one that somebody put there under a high number would count for good. */
export function newestLedger(listed: readonly VersionedObject[]): StoredLedger | undefined {
  let newest: StoredLedger | undefined;
  for (const { key, versions } of listed) {
    const [name, first] = [parseLedgerName(key), versions[0]];
    if (name === undefined || first === undefined) continue;
    const found = { ...name, versionId: first.versionId, storedAt: first.modifiedAt?.getTime() ?? 0 };
    if (newest === undefined || isLater(found, newest) || (!isLater(newest, found) && found.key > newest.key)) newest = found;
  }
  return newest;
}

/** Whether one was written after another. */
export function isLater(one: Pick<StoredLedger, 'rev' | 'storedAt'>, other: Pick<StoredLedger, 'rev' | 'storedAt'>): boolean {
  const [a, b] = [one, other].map(({ storedAt }) => Math.floor(storedAt / 1000)) as [number, number];
  return a > b || (a === b && one.rev > other.rev);
}

/** The number of the ledger after this one. */
export function revAfter(before: Pick<LedgerName, 'rev'> | undefined): number {
  return Math.min((before?.rev ?? 0) + 1, MOST_REVS);
}

/** What a listing of the source looks like, with the terms under which it is kept. */
export function digestOf(objects: readonly ObjectInfo[], lock: ReplicationLock): string {
  const lines = objects.map((object) => `${object.key} ${object.size} ${tagOf(object) ?? ''}\n`).join('');
  return hash('sha256', `${lock.mode} ${lock.retainForMs}\n${lines}`, 'hex').slice(0, NO_DIGEST.length);
}

export function encodeLedger(ledger: Ledger): Uint8Array {
  return canonicalJson(ledger);
}

/** `undefined` for what is none: the bucket then says what is there. */
export function decodeLedger(bytes: Uint8Array, tenant: string): Ledger | undefined {
  try {
    const read = Ledger.safeParse(parseCanonicalJson(bytes));
    return read.success && read.data.tenant === tenant ? read.data : undefined;
  } catch {
    return undefined;
  }
}

/** From names with a time each to names by time. */
export function byTime(names: ReadonlyMap<string, number>): { readonly at: string; readonly names: string[] }[] {
  const groups = new Map<number, string[]>();
  for (const [name, at] of names) {
    const group = groups.get(at);
    if (group === undefined) groups.set(at, [name]);
    else group.push(name);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([at, group]) => ({ at: new Date(at).toISOString(), names: group.sort() }));
}
