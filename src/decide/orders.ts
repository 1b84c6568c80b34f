import {
  MOVER_CONTRACT_VERSION,
  SCRATCH_DIRECTORY,
  VOLUMES_DIRECTORY,
  type BackupLocationSpec,
  type BackupOrders,
  type ForgetOrders,
  type KmsSettings,
  type MoverKms,
  type RestoreOrders,
  type S3Settings,
  type VerifyOrders,
} from '../api/index.ts';

/** Names of KMS entries in orders and credentials. */
export const PRIMARY_KMS = 'primary';
export const REPLICA_KMS = 'replica';

/** What the orders of every task share. */
export interface OrdersBase {
  readonly attempt: { readonly name: string; readonly number: number; readonly uid: string };
  readonly tenant: { readonly id: string; readonly generation: number };
  readonly location: BackupLocationSpec;
  readonly deadAttempts: readonly string[];
}

export interface BackupOrdersInput extends OrdersBase {
  readonly policy: string;
  readonly backup: string;
  readonly claims: readonly string[];
  readonly streams: NonNullable<BackupOrders['streams']>;
  readonly excludes: readonly string[];
  readonly incompleteSnapshots: readonly string[];
}

export function backupOrders(input: BackupOrdersInput): BackupOrders {
  return {
    ...base(input),
    task: 'backup',
    volumes: mounts(input.claims),
    ...(input.streams.length === 0 ? {} : { streams: [...input.streams] }),
    excludes: [...input.excludes],
    policy: input.policy,
    backup: input.backup,
    incompleteSnapshots: [...input.incompleteSnapshots],
  };
}

export interface RestoreOrdersInput extends OrdersBase {
  readonly claims: readonly string[];
  readonly snapshotId: string;
  readonly includes: readonly string[];
  readonly excludes: readonly string[];
  readonly deleteExtra: boolean;
}

export function restoreOrders(input: RestoreOrdersInput): RestoreOrders {
  return {
    ...base(input),
    task: 'restore',
    volumes: mounts(input.claims),
    snapshotId: input.snapshotId,
    includes: [...input.includes],
    excludes: [...input.excludes],
    deleteExtra: input.deleteExtra,
  };
}

export interface ForgetOrdersInput extends OrdersBase {
  readonly snapshots: readonly string[];
  readonly uids: readonly string[];
}

export function forgetOrders(input: ForgetOrdersInput): ForgetOrders {
  return { ...base(input), task: 'forget', snapshots: [...input.snapshots], uids: [...input.uids], prune: true };
}

export interface VerifyOrdersInput extends OrdersBase, Pick<VerifyOrders, 'readData' | 'sample'> {
  readonly damagedPacks: readonly string[];
}

export function verifyOrders(input: VerifyOrdersInput): VerifyOrders {
  const { readData, sample } = input;
  return { ...base(input), task: 'verify', readData: { ...readData }, damagedPacks: [...input.damagedPacks], sample: { ...sample }, scratch: SCRATCH_DIRECTORY };
}

/** Where a mover finds a claim; the path that the snapshot records. */
export function mountPath(claim: string): string {
  return `${VOLUMES_DIRECTORY}/${claim}`;
}

function mounts(claims: readonly string[]): BackupOrders['volumes'] {
  return claims.map((claim) => ({ claim, mountPath: mountPath(claim) }));
}

/** What orders say of a bucket; what opens it stands elsewhere. */
export function bucketOrders({ endpoint, region, bucket, prefix, forcePathStyle, caBundle }: S3Settings) {
  return { ...(endpoint === undefined ? {} : { endpoint }), region, bucket, prefix, forcePathStyle, ...(caBundle === undefined ? {} : { caBundle }) };
}

function base(input: OrdersBase) {
  const { s3 } = input.location;
  return {
    version: MOVER_CONTRACT_VERSION,
    attempt: { ...input.attempt },
    tenant: { ...input.tenant },
    storage: {
      ...bucketOrders(s3),
      ...(input.location.recover ? { isReplica: true } : {}),
    },
    kms: kmsOrders(input.location),
    deadAttempts: [...input.deadAttempts],
  } as const satisfies Partial<BackupOrders>;
}

/** The second data center's key is for wrapping only: the first may not decrypt with it. */
export function kmsOrders(location: BackupLocationSpec): MoverKms[] {
  const primary = kmsEntry(PRIMARY_KMS, location.kms, 'wrapAndUnwrap');
  return location.replica === undefined ? [primary] : [primary, kmsEntry(REPLICA_KMS, location.replica.kms, 'wrap')];
}

function kmsEntry(name: string, kms: KmsSettings, use: MoverKms['use']): MoverKms {
  if (kms.provider === 'local') return { name, provider: 'local', keyId: kms.local?.secretRef.name ?? '', use };
  const { aws } = kms;
  return {
    name,
    provider: 'aws',
    ...(aws?.endpoint === undefined ? {} : { endpoint: aws.endpoint }),
    ...(aws?.caBundle === undefined ? {} : { caBundle: aws.caBundle }),
    region: aws?.region ?? '',
    keyId: aws?.keyId ?? '',
    use,
  };
}

/** Secrets of the operator's namespace that a mover's KMS credentials come from, by the name of the entry in the orders. */
export function kmsSecrets(location: BackupLocationSpec): Readonly<Record<string, { readonly secret: string; readonly provider: 'aws' | 'local' }>> {
  const primary = kmsSecret(location.kms, 'wrapAndUnwrap');
  return location.replica === undefined
    ? { [PRIMARY_KMS]: primary }
    : { [PRIMARY_KMS]: primary, [REPLICA_KMS]: kmsSecret(location.replica.kms, 'wrap') };
}

function kmsSecret(kms: KmsSettings, use: MoverKms['use']): { secret: string; provider: 'aws' | 'local' } {
  if (kms.provider === 'local') return { secret: kms.local?.secretRef.name ?? '', provider: 'local' };
  const movers = use === 'wrapAndUnwrap' ? kms.aws?.moverCredentialsSecretRef : undefined;
  return { secret: (movers ?? kms.aws?.credentialsSecretRef)?.name ?? '', provider: 'aws' };
}
