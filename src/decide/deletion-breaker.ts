/**
 * What keeps a mistake, or somebody who means ill, from deleting a customer's backups in one go. Kubernetes cannot take a deletion
 * back, so the objects wait, whole and restorable, until a person confirms each with an annotation.
 */
import { ANNOTATION_CONFIRM_DELETION, ANNOTATION_ROTATED_AT, type Backup } from '../api/index.ts';
import { FIRST_FORGET_ATTEMPT, isEnding, timeOf } from './backup-status.ts';
import { findCondition } from './conditions.ts';
import type { Failure } from './failure-reason.ts';
import { hasGoodContent, standsIn, storedAt } from './good.ts';

/** Where no policy of the namespace says it. */
export const DEFAULT_CONFIRM_FROM = 5;

/** Names of what an index of backups, `deletionKeys`, has of a namespace. */
export const DELETIONS = {
  /** To be deleted or cancelled. */
  ending: (namespace: string): string => `ending ${namespace}`,
  /** Deleted, and nobody has confirmed that. */
  going: (namespace: string): string => `going ${namespace}`,
  /** The same of those that go by themselves at some time: from then on they count no more. */
  goingUntil: (namespace: string): string => `going-until ${namespace}`,
} as const;

/** What one backup is found under. Few are found under anything. */
export function deletionKeys(backup: Backup): readonly string[] {
  if (!isEnding(backup)) return [];
  const { namespace = '', annotations } = backup.metadata;
  const ending = DELETIONS.ending(namespace);
  if (!isUnconfirmed(backup) || annotations?.[ANNOTATION_ROTATED_AT] !== undefined) return [ending];
  return [ending, backup.status?.expiresAt === undefined ? DELETIONS.going(namespace) : DELETIONS.goingUntil(namespace)];
}

export interface BreakerFacts {
  /** How many backups are under one of `DELETIONS`, and which. */
  readonly countOf: (key: string) => number;
  readonly find: (key: string) => readonly Backup[];
  /** Every backup of a policy of the namespace. */
  readonly ofPolicy: (policy: string) => readonly Backup[];
  /** UIDs that a forget Job covers: those deletions are under way. */
  readonly covered: ReadonlySet<string>;
  /** As many deletions at once as this, or more, are to be confirmed. */
  readonly confirmFrom: number;
}

/**
 * Tells why a deletion waits for a person; undefined for one that does not. What it asks of the index it asks once, and each policy's backups are looked at
 * once, however many of a namespace are deleted together.
 */
export function deletionBreaker(facts: BreakerFacts, now: number): (backup: Backup) => Failure | undefined {
  const lastOf = remembered((policy: string) => lastGoodOnes(facts.ofPolicy(policy), facts, now));
  const goingOf = remembered((namespace: string) => facts.countOf(DELETIONS.going(namespace)) + facts.find(DELETIONS.goingUntil(namespace)).filter((backup) => !isExpired(backup, now)).length);
  return (backup) => {
    if (!isWaiting(backup, facts, now)) return undefined;
    const { annotations, namespace = '', uid } = backup.metadata;
    if (lastOf(backup.spec.policy).has(uid)) return { reason: 'LastGoodBackup', message: lastGoodMessage(backup) };
    if (annotations?.[ANNOTATION_ROTATED_AT] !== undefined) return undefined;
    const going = goingOf(namespace);
    // Once stopped, a mass deletion stays so, though its numbers shrink while some of it is confirmed.
    return going >= facts.confirmFrom || wasStopped(backup) ? { reason: 'MassDeletion', message: massMessage(backup, going) } : undefined;
  };
}

function remembered<T>(find: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const found = known.get(key) ?? find(key);
    known.set(key, found);
    return found;
  };
}

/** Whether its deletion was stopped, here or because its location is a copy; until it is confirmed it is kept and can be restored. */
export function isStopped(backup: Backup): boolean {
  const reason = findCondition(backup.status?.conditions, 'Deleted')?.reason;
  if (backup.status?.phase !== 'Stored') return false;
  return reason === 'LocationReadOnly' || ((reason === 'LastGoodBackup' || reason === 'MassDeletion') && !isConfirmed(backup));
}

/** Deleted, though nobody has confirmed that, and nothing of it is forgotten yet. */
function isWaiting(backup: Backup, { covered }: BreakerFacts, now: number): boolean {
  return isUnconfirmed(backup) && !isExpired(backup, now) && !covered.has(backup.metadata.uid) && (backup.status?.attempt ?? 0) < FIRST_FORGET_ATTEMPT;
}

function isUnconfirmed(backup: Backup): boolean {
  const { metadata, status, spec } = backup;
  return metadata.deletionTimestamp !== undefined && status?.snapshotId !== undefined && !spec.hold && !isConfirmed(backup);
}

/** What goes by itself when its time is over was announced long before. */
function isExpired({ status }: Backup, now: number): boolean {
  const expiry = timeOf(status?.expiresAt);
  return expiry !== undefined && expiry <= now;
}

function isConfirmed({ metadata }: Backup): boolean {
  return metadata.annotations?.[ANNOTATION_CONFIRM_DELETION] === 'true';
}

/** UIDs of those that a policy has no other for. Of several that go together the newest is the last one; a safety backup stands in for none but its like. */
function lastGoodOnes(all: readonly Backup[], facts: BreakerFacts, now: number): ReadonlySet<string> {
  if (all.some(standsIn)) return new Set();
  const going = all.filter((backup) => hasGoodContent(backup) && isWaiting(backup, facts, now));
  const last = [newestGoing(going), newestGoing(going.filter(({ spec }) => spec.trigger !== 'Safety'))];
  return new Set(last.flatMap((backup) => backup?.metadata.uid ?? []));
}

function newestGoing(going: readonly Backup[]): Backup | undefined {
  return going.reduce<Backup | undefined>((best, other) => (best === undefined || isNewer(other, best) ? other : best), undefined);
}

function isNewer(a: Backup, b: Backup): boolean {
  return storedAt(a) > storedAt(b) || (storedAt(a) === storedAt(b) && a.metadata.uid > b.metadata.uid);
}

function wasStopped(backup: Backup): boolean {
  return findCondition(backup.status?.conditions, 'Deleted')?.reason === 'MassDeletion';
}

function confirm({ metadata }: Backup): string {
  return `To delete it all the same: \`kubectl annotate backups.backup.dupp.de ${metadata.name} -n ${metadata.namespace ?? ''} ${ANNOTATION_CONFIRM_DELETION}=true\`.`;
}

function lastGoodMessage(backup: Backup): string {
  return `It is the last good backup of policy ${backup.spec.policy}, so it is kept until a person confirms. ${confirm(backup)}`;
}

function massMessage(backup: Backup, count: number): string {
  return `${count} backups of this namespace are to be deleted at once, so they are kept until a person confirms. ${confirm(backup)}`;
}
