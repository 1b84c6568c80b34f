/**
 * What keeps a mistake, or somebody who means ill, from deleting a customer's backups in one go. Kubernetes cannot take a deletion
 * back, so the objects wait, whole and restorable, until a person confirms each with an annotation.
 */
import { ANNOTATION_CONFIRM_DELETION, ANNOTATION_ROTATED_AT, type Backup } from '../api/index.ts';
import { FIRST_FORGET_ATTEMPT, timeOf } from './backup-status.ts';
import { findCondition } from './conditions.ts';
import type { Failure } from './failure-reason.ts';
import { hasGoodContent, standsIn, storedAt } from './good.ts';

/** Where no policy of the namespace says it. */
export const DEFAULT_CONFIRM_FROM = 5;

export interface BreakerFacts {
  /** Every backup of the namespace. */
  readonly backups: readonly Backup[];
  /** UIDs that a forget Job covers: those deletions are under way. */
  readonly covered: ReadonlySet<string>;
  /** As many deletions at once as this, or more, are to be confirmed. */
  readonly confirmFrom: number;
}

/** The deletions of a namespace that wait for a person, by UID of the Backup, each with its reason. */
export function heldDeletions({ backups, covered, confirmFrom }: BreakerFacts, now: number): ReadonlyMap<string, Failure> {
  const unconfirmed = backups.filter((backup) => isUnconfirmed(backup, now));
  const going = new Set(unconfirmed.filter(({ metadata }) => metadata.annotations?.[ANNOTATION_ROTATED_AT] === undefined));
  const waiting = unconfirmed.filter(({ metadata, status }) => !covered.has(metadata.uid) && (status?.attempt ?? 0) < FIRST_FORGET_ATTEMPT);
  const last = lastGoodOnes(backups, waiting);
  const held = new Map<string, Failure>();
  for (const backup of waiting) {
    if (last.has(backup)) held.set(backup.metadata.uid, { reason: 'LastGoodBackup', message: lastGoodMessage(backup) });
    // Once stopped, a mass deletion stays so, though its numbers shrink while some of it is confirmed.
    else if (going.has(backup) && (going.size >= confirmFrom || wasStopped(backup))) held.set(backup.metadata.uid, { reason: 'MassDeletion', message: massMessage(backup, going.size) });
  }
  return held;
}

/** Whether its deletion was stopped, here or because its location is a copy; until it is confirmed it is kept and can be restored. */
export function isStopped(backup: Backup): boolean {
  const reason = findCondition(backup.status?.conditions, 'Deleted')?.reason;
  if (backup.status?.phase !== 'Stored') return false;
  return reason === 'LocationReadOnly' || ((reason === 'LastGoodBackup' || reason === 'MassDeletion') && !isConfirmed(backup));
}

function isUnconfirmed(backup: Backup, now: number): boolean {
  const { metadata, status, spec } = backup;
  if (metadata.deletionTimestamp === undefined || status?.snapshotId === undefined || spec.hold || isConfirmed(backup)) return false;
  // What goes by itself when its time is over was announced long before.
  const expiry = timeOf(status.expiresAt);
  return expiry === undefined || expiry > now;
}

function isConfirmed({ metadata }: Backup): boolean {
  return metadata.annotations?.[ANNOTATION_CONFIRM_DELETION] === 'true';
}

/** Those of `waiting` that their policy has no other for. Of several that go together the newest is the last one; a safety backup stands in for none but its like. */
function lastGoodOnes(all: readonly Backup[], waiting: readonly Backup[]): ReadonlySet<Backup> {
  const kept = new Set(all.filter(standsIn).map(({ spec }) => spec.policy));
  const last = new Set<Backup>();
  for (const [policy, going] of Map.groupBy(waiting.filter(hasGoodContent), ({ spec }) => spec.policy)) {
    if (kept.has(policy)) continue;
    for (const backup of [newestGoing(going), newestGoing(going.filter(({ spec }) => spec.trigger !== 'Safety'))]) if (backup !== undefined) last.add(backup);
  }
  return last;
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
