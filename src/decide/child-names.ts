import { createHash } from 'node:crypto';
import { LABEL_GROUP_PREFIX, MOVER_NAME_PREFIX, type Backup } from '../api/index.ts';

/** Names of Jobs become values of labels, which hold 63 characters. */
const HASH_LENGTH = 20;

/** Lower-case hex: a UID is 36 characters of which a name keeps what tells it apart. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}

/** Name of the Job of one attempt, and of its Secret: the same attempt always finds its own children again. */
export function attemptName(ownerUid: string, attempt: number): string {
  return `${MOVER_NAME_PREFIX}${shortHash(ownerUid)}-${attempt}`;
}

/** Names of all attempts before `attempt`. */
export function earlierAttemptNames(ownerUid: string, attempt: number): readonly string[] {
  return Array.from({ length: Math.max(0, attempt - 1) }, (_, index) => attemptName(ownerUid, index + 1));
}

/**
 * Name of everything that is made to copy the volume `index` of a backup: snapshots, contents and claims, each once in a namespace. A
 * cut that is made anew has other names, so that none is taken for one of the new moment.
 */
export function copyName(backup: CopiedBackup, index: number): string {
  return `${familyOfUid(backup.metadata.uid)}-v${index}${roundOf(backup)}`;
}

/** Name of the group snapshot of all volumes of a backup. */
export function groupName(backup: CopiedBackup): string {
  return `${familyOfUid(backup.metadata.uid)}-g${roundOf(backup)}`;
}

type CopiedBackup = Pick<Backup, 'status'> & { readonly metadata: Pick<Backup['metadata'], 'uid'> };

function roundOf({ status }: CopiedBackup): string {
  return status?.cutsAbandoned === undefined ? '' : `-${status.cutsAbandoned}`;
}

/** The label of the claims that are snapshotted as a group. */
export function groupLabel(backupUid: string): string {
  return `${LABEL_GROUP_PREFIX}${shortHash(backupUid)}`;
}

/** The family that such a label belongs to; undefined for another label. */
export function familyOfLabel(label: string): string | undefined {
  return label.startsWith(LABEL_GROUP_PREFIX) ? `${MOVER_NAME_PREFIX}${label.slice(LABEL_GROUP_PREFIX.length)}` : undefined;
}

/** What all names of children of one Backup or Restore begin with. */
export function familyOfUid(uid: string): string {
  return `${MOVER_NAME_PREFIX}${shortHash(uid)}`;
}

const FAMILY = new RegExp(`^${MOVER_NAME_PREFIX}[0-9a-f]{${HASH_LENGTH}}(?=-)`);

/** The family that a name belongs to; undefined for a name that is none of ours. */
export function familyOf(name: string): string | undefined {
  return FAMILY.exec(name)?.[0];
}

const SAFETY_SUFFIX = '-safety';
/** A name that people type should stay one that labels can hold. */
const MAX_READABLE = 63;

/** Name of the safety backup of a restore. A restore deleted and made again under its name is another one, hence the UID. */
export function safetyBackupName(restore: { readonly name: string; readonly uid: string }): string {
  const tail = `-${shortHash(restore.uid).slice(0, 6)}${SAFETY_SUFFIX}`;
  const head = restore.name.slice(0, MAX_READABLE - tail.length).replace(/[-.]+$/, '');
  return `${head}${tail}`;
}

/** A label's value holds 63 characters; longer names are found by UID instead. */
export function labelValue(name: string): string {
  return name.length <= MAX_READABLE ? name : `${name.slice(0, 42).replace(/[-._]+$/, '')}-${shortHash(name)}`;
}

/** Characters of an object's name. */
const MAX_NAME = 253;

/**
 * `<policy>-<yyyymmddhhmm>` of the scheduled minute in UTC: made again it is the same one.
 * @param uid - of the policy: with it the name is another, for where somebody else's Backup has the first
 */
export function automaticBackupName(policy: string, slot: number, uid?: string): string {
  const tail = `-${new Date(slot).toISOString().slice(0, 16).replace(/\D/g, '')}${uid === undefined ? '' : `-${shortHash(uid).slice(0, 6)}`}`;
  const room = MAX_NAME - tail.length;
  const head = policy.length <= room ? policy : `${policy.slice(0, room - 7).replace(/[-.]+$/, '')}-${shortHash(policy).slice(0, 6)}`;
  return `${head}${tail}`;
}
