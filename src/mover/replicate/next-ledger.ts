import type { ReplicationLock } from '../../api/index.ts';
import { StorageError, type ObjectInfo } from '../../storage/index.ts';
import { byTime, encodeLedger, ledgerName, NO_TAG, parseLedgerName, type Ledger, type StoredLedger } from './ledger.ts';
import { dueAtTheLatest, dueFrom } from './lock-terms.ts';
import type { Remembered, Unsound } from './tenant-state.ts';
import type { ReplicationWork } from './work.ts';

export interface LedgerFacts {
  readonly tenant: string;
  readonly rev: number;
  readonly now: Date;
  readonly lock: ReplicationLock;
  /** What the source has. */
  readonly source: readonly ObjectInfo[];
  /** What the replica has by now. */
  readonly there: ReadonlySet<string>;
  readonly memory: Remembered;
  /** Locks that were set or extended in this run, milliseconds since the epoch. */
  readonly until: ReadonlyMap<string, number>;
  /** The source is itself, and all of it was looked at: what it no longer has is not needed. */
  readonly givesUp: boolean;
  readonly isDiverged: boolean;
  readonly unsettledSince: Date | undefined;
  /** Milliseconds since the epoch; 0 for none. */
  readonly upTo: number;
  readonly digest: string;
  /** How the source's listing marks the content of each name, as far as that is what it was. */
  readonly tags: ReadonlyMap<string, string>;
  readonly unproven: readonly string[];
  readonly unsound: Unsound;
}

export interface NextLedger {
  readonly key: string;
  readonly ledger: Ledger;
  readonly upTo: number;
}

/** What is to be remembered after a run. */
export function nextLedger(facts: LedgerFacts): NextLedger {
  const { source, there, memory, until, now } = facts;
  const kept = new Set(source.map(({ key }) => key).filter((key) => there.has(key)));
  if (!facts.givesUp) for (const key of memory.needed.keys()) kept.add(key);
  const needed = new Map([...kept].map((key) => [key, until.get(key) ?? memory.needed.get(key) ?? memory.put.get(key) ?? 0]));
  const unneeded = new Map<string, number>();
  for (const key of there) if (!kept.has(key)) unneeded.set(key, memory.unneeded.get(key) ?? now.getTime());
  const ledger: Ledger = {
    version: 1,
    tenant: facts.tenant,
    rev: facts.rev,
    writtenAt: now.toISOString(),
    needed: byTime(needed).map(({ at, names }) => ({ until: at, names, tags: names.map((name) => facts.tags.get(name) ?? NO_TAG).join('') })),
    unneeded: byTime(unneeded).map(({ at, names }) => ({ since: at, names })),
    ...(facts.unsettledSince === undefined ? {} : { unsettledSince: facts.unsettledSince.toISOString() }),
    diverged: facts.isDiverged,
    ...(facts.unproven.length === 0 ? {} : { unproven: [...facts.unproven] }),
    ...(facts.unsound.size === 0 ? {} : { unsound: [...facts.unsound].map(([name, versions]) => ({ name, versions: [...versions] })) }),
  };
  const due = [...needed].reduce((first, [key, end]) => Math.min(first, dueFrom(key, end, facts.lock)), Infinity);
  const dueAt = Math.max(0, Math.floor(Math.min(due, now.getTime() + facts.lock.retainForMs) / 1000));
  return { key: ledgerName({ rev: facts.rev, digest: facts.digest, dueAt, upTo: Math.floor(facts.upTo / 1000), isIdle: unneeded.size === 0 }), ledger, upTo: facts.upTo };
}

/** Puts it unless nothing changed but its number, and the one before is believed for a while yet. */
export async function putLedger({ replica, signal, lock, now }: ReplicationWork, tenant: string, next: NextLedger, before: { readonly name: StoredLedger; readonly ledger: Ledger } | undefined): Promise<void> {
  const isFresh = before !== undefined && dueAtTheLatest(before.name.storedAt, lock) > now().getTime();
  if (isFresh && isSame(next.ledger, before.ledger) && parseLedgerName(next.key)?.digest === before.name.digest) return;
  try {
    await replica.within(tenant).put(next.key, encodeLedger(next.ledger), { ifAbsent: true, signal });
  } catch (error) {
    // Another worker saw the same and was faster.
    if (!(error instanceof StorageError) || error.code !== 'AlreadyExists') throw error;
  }
}

function isSame(a: Ledger, b: Ledger): boolean {
  const bare = (ledger: Ledger): string => JSON.stringify({ ...ledger, rev: 0, writtenAt: '' });
  return bare(a) === bare(b);
}
